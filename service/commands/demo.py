"""``mrl demo``."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from service.commands.output import note
from service.commands.progress import BuildProgress, TrainingProgress
from service.commands.search import stage_line
from service.commands.train import print_scores
from service.settings import Settings


def demo(
    out: Annotated[Path, typer.Option(help="Directory of everything the demo writes.")] = Path("demo-output"),
    documents: Annotated[int, typer.Option(min=2000, help="Maximum number of documents.")] = 40_000,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 chooses a free one.")] = 0,
) -> None:
    """Train, index, serve and search the documentation of this Python, as a demonstration.

    At a terminal the service runs until Ctrl-C; otherwise the command ends after the last answer.
    """
    from service.demo import run  # torch takes seconds to import, and --help need not wait for it
    from service.http.server import running

    paths = run.Paths(out)
    began = time.monotonic()

    def step(title: str) -> None:
        typer.echo(f"\n── {title}  ({time.monotonic() - began:.0f} s)")

    step("Reading the docstrings of the standard library and the installed packages")
    docstrings = run.write_corpus(paths, documents)
    typer.echo(f"{len(docstrings):,} documents in {paths.corpus}")

    step(f"Training {run.BASE} on pairs of a docstring's summary and the rest of it")
    with TrainingProgress("pairs") as training:
        result = run.train_model(paths, docstrings, training.report)
    note(f"{result.stopped} after {result.steps} steps; best at step {result.best_step}")

    step("Evaluating on held-out pairs, before and after training")
    before, after, what = run.compare(paths, docstrings)
    print_scores(before, after, f"nDCG@10: {what}")
    typer.echo(f"plot: {paths.plot}")

    step("Building the index")
    with BuildProgress(len(docstrings)) as building:
        built = run.index_corpus(paths, building.report)
    typer.echo(f"generation {built.generation} of {paths.index}: {built.rows:,} documents")

    step("Serving it, and searching over HTTP")
    with running(Settings(index=paths.index, port=port, auth="off", log_level="warning")) as url:
        for query in run.QUERIES:
            answer, milliseconds = run.search(url, query)
            typer.echo(f"\n{query}   ({milliseconds:.1f} ms)")
            for hit in answer["results"]:
                summary = hit["payload"]["text"].splitlines()[0]
                typer.echo(f"  {hit['score']:.3f}  {hit['id']}: {summary}"[:118])
            for stage in answer["stages"]:
                typer.echo(stage_line(stage))
        typer.echo(
            f"\nDone in {time.monotonic() - began:.0f} s. To serve it again, run: mrl serve {paths.index} --auth off"
        )
        if sys.stdin.isatty() and sys.stdout.isatty():
            typer.echo(f"Search it at {url}; Ctrl-C stops the service.")
            _wait_for_interrupt()


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        typer.echo("stopped")
