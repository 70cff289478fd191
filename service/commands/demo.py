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
    out: Annotated[Path, typer.Option(help="Directory for what the demonstration makes.")] = Path("demo-output"),
    documents: Annotated[int, typer.Option(min=2000, help="Documents read, at most.")] = 40_000,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 for a free one.")] = 0,
) -> None:
    """Show the whole line on the documentation of this Python: train, index, serve, search.

    At a terminal the service stays up until Ctrl-C; elsewhere the command ends after the last answer.
    """
    from service.demo import run  # torch takes seconds to import, which --help need not wait for
    from service.http.server import running

    paths = run.Paths(out)
    began = time.monotonic()

    def step(title: str) -> None:
        typer.echo(f"\n── {title}  ({time.monotonic() - began:.0f} s)")

    step("Reading the docstrings of the standard library and the installed packages")
    docstrings = run.write_corpus(paths, documents)
    typer.echo(f"{len(docstrings):,} documents in {paths.corpus}")

    step(f"Training {run.BASE} on (summary line → rest of the docstring)")
    with TrainingProgress("pairs") as training:
        result = run.train_model(paths, docstrings, training.report)
    note(f"{result.stopped} after {result.steps} steps; best at step {result.best_step}")

    step("Measuring on held-out pairs, before and after training")
    before, after, what = run.compare(paths, docstrings)
    print_scores(before, after, f"nDCG@10: {what}")
    typer.echo(f"picture: {paths.plot}")

    step("Building the index")
    with BuildProgress(len(docstrings)) as building:
        built = run.index_corpus(paths, building.report)
    typer.echo(f"generation {built.generation} of {paths.index}: {built.rows:,} documents")

    step("Serving it, and asking over HTTP")
    with running(Settings(index=paths.index, port=port, auth="off", log_level="warning")) as url:
        for query in run.QUERIES:
            answer, milliseconds = run.ask(url, query)
            typer.echo(f"\n{query}   ({milliseconds:.1f} ms)")
            for hit in answer["results"]:
                summary = hit["payload"]["text"].splitlines()[0]
                typer.echo(f"  {hit['score']:.3f}  {hit['id']}: {summary}"[:118])
            for stage in answer["stages"]:
                typer.echo(stage_line(stage))
        typer.echo(f"\nDone in {time.monotonic() - began:.0f} s. Serve it again: mrl serve {paths.index} --auth off")
        if sys.stdin.isatty() and sys.stdout.isatty():
            typer.echo(f"Search it at {url} until Ctrl-C.")
            _wait_for_interrupt()


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        typer.echo("stopped")
