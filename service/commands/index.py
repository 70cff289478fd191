"""``mrl index build | inspect | verify | rollback``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.progress import TaskID

from indexer import BuildOptions, Corpus, Fields, Generations, build_index
from indexer.build import OnError
from indexer.errors import BundleCorruptError
from indexer.manifest import Manifest
from indexer.shortlist import KINDS
from indexer.vectors import Storage
from models.encoders import load_encoder
from models.nesting import Nesting
from service.commands.output import ProgressDisplay, human_bytes, note, print_json

app = typer.Typer(
    help="Build an index from a corpus, look at it, check it, go back to an earlier one.", no_args_is_help=True
)

_DEFAULTS = BuildOptions()
IndexPath = Annotated[Path, typer.Argument(help="The index directory.", show_default=False)]


@app.command()
def build(
    corpus: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders: .jsonl[.gz|.zst], .parquet, .csv, .tsv; a BEIR folder; or a folder of texts.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The index directory.", show_default=False)],
    model: Annotated[str, typer.Option(help="'wordllama', a model directory, or a hub name.")] = "wordllama",
    id_field: Annotated[str | None, typer.Option(help="Field of the id. Default: _id, else id.")] = None,
    text_field: Annotated[str, typer.Option(help="Field of the text.")] = "text",
    title_field: Annotated[str, typer.Option(help="Field of the title, which is put before the text.")] = "title",
    dims: Annotated[
        int | None, typer.Option(help="Size of the shortlist's prefix. Default: from the model's sizes.")
    ] = None,
    shortlist: Annotated[str, typer.Option(help=f"Shortlist structure: {', '.join(KINDS)}.")] = _DEFAULTS.shortlist,
    shortlist_option: Annotated[
        list[str] | None,
        typer.Option("--shortlist-option", "-o", help="A build option of the structure, such as links=16; repeatable."),
    ] = None,
    vectors: Annotated[str, typer.Option(help="How full vectors are stored: float16 or float32.")] = _DEFAULTS.vectors,
    sizes: Annotated[
        str | None, typer.Option(help="Sizes the model was trained for, where it does not say, such as 64,128,256.")
    ] = None,
    query_prompt: Annotated[str | None, typer.Option(help="Replaces the model's own text before queries.")] = None,
    document_prompt: Annotated[str | None, typer.Option(help="Replaces the model's own text before documents.")] = None,
    device: Annotated[str, typer.Option(help="Where documents are encoded: auto, cpu or cuda.")] = "auto",
    on_error: Annotated[str, typer.Option(help="Broken rows: skip and list them, or fail.")] = _DEFAULTS.on_error,
    batch_size: Annotated[int, typer.Option(help="Rows encoded and written together.")] = _DEFAULTS.batch_size,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted build, or begin anew.")] = True,
    keep: Annotated[int, typer.Option(help="Generations kept, the new one counted.")] = _DEFAULTS.keep,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Encode a corpus and publish it as a new generation of an index.

    An earlier generation stays in service until the new one is whole. Interrupted at any moment, the same command goes
    on from what had been encoded.
    """
    started = time.monotonic()
    encoder = load_encoder(
        model,
        nesting=Nesting.parse(sizes) if sizes else None,
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        device=device,
    )
    options = BuildOptions(
        dims=dims,
        shortlist=shortlist,
        shortlist_values=_option_values(shortlist_option or []),
        vectors=cast(Storage, vectors),  # checked by BuildOptions itself
        on_error=cast(OnError, on_error),
        batch_size=batch_size,
        keep=keep,
    )
    source = Corpus(corpus, Fields(id_field, text_field, title_field))
    with BuildProgress(source.estimated_rows()) as progress:
        result = build_index(source, encoder, out, options, resume=resume, report=progress.report)
    seconds = time.monotonic() - started
    if json_output:
        print_json(
            {
                "index": str(out),
                "generation": result.generation,
                "documents": result.rows,
                "resumed": result.resumed_rows,
                "rejected": result.rejected,
                "report": str(result.report),
                "seconds": round(seconds, 3),
            }
        )
        return
    note(f"generation {result.generation} of {out}: {result.rows} documents in {seconds:.1f} s")
    if result.resumed_rows:
        note(f"{result.resumed_rows} of them had been encoded by an interrupted build")
    if result.rejected:
        note(f"{result.rejected} rows were turned away, listed in {result.report}")
    if result.pruned:
        note(f"deleted generations {', '.join(result.pruned)}; --keep sets how many stay")


@app.command()
def inspect(
    index: IndexPath,
    generation: Annotated[str | None, typer.Option(help="Another generation than the published one.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the whole manifest as JSON.")] = False,
) -> None:
    """Show what an index holds."""
    generations = Generations(index)
    published = generations.require_published()
    name = generations.named(generation) if generation else published
    manifest = Manifest.read(generations.path(name))
    if json_output:
        print_json({"generation": name, "published": published, **manifest.model_dump(mode="json")})
        return
    size = sum(facts.size for facts in manifest.files.values())
    facts = manifest.shortlist
    shortlist = ", ".join(
        [f"{facts.kind} over {facts.dims} dimensions", *(f"{k} {v}" for k, v in facts.options.items())]
    )
    state = " (published)" if name == published else ""
    lines = {
        "generation": f"{name}{state}, built {manifest.created:%Y-%m-%d %H:%M} UTC",
        "generations": ", ".join(generations.complete()),
        "documents": f"{manifest.rows}, {manifest.corpus.rejected} rows turned away",
        "model": f"{manifest.model.name} ({manifest.model.content_hash[:12]})",
        "dimensions": f"{manifest.dimension}, trained at {', '.join(map(str, manifest.model.sizes))}",
        "vectors": f"{manifest.vectors}, cosine",
        "shortlist": shortlist,
        "on disk": f"{human_bytes(size)}, {size / max(1, manifest.rows):.0f} bytes a document",
    }
    for key, value in lines.items():
        typer.echo(f"{key:<12} {value}")
    for file, written in manifest.files.items():
        typer.echo(f"  {file:<20} {human_bytes(written.size):>10}  sha256 {written.sha256[:16]}…")


@app.command()
def verify(
    index: IndexPath,
    generation: Annotated[str | None, typer.Option(help="Another generation than the published one.")] = None,
) -> None:
    """Read every file of a generation and compare its checksum; exit status 1 where one differs."""
    generations = Generations(index)
    name = generations.named(generation) if generation else generations.require_published()
    folder = generations.path(name)
    manifest = Manifest.read(folder)
    if differing := manifest.differing_files(folder):
        raise BundleCorruptError(
            f"generation {name} of {index}: {', '.join(differing)} differ from the manifest; "
            "restore them, go back with mrl index rollback, or build again"
        )
    typer.echo(f"generation {name} of {index}: {len(manifest.files)} files are as they were written")


@app.command()
def rollback(
    index: IndexPath,
    to: Annotated[str | None, typer.Option(help="The generation to publish. Default: the one before.")] = None,
) -> None:
    """Publish an earlier generation again. Nothing is deleted, so a later one can be named to go forward."""
    generations = Generations(index)
    with generations.locked():
        before, now = generations.rollback(to)
    typer.echo(f"{index}: generation {now} is published, before it was {before}")


class BuildProgress(ProgressDisplay):
    """Draws what :func:`indexer.build_index` reports."""

    def __init__(self, estimated_rows: int) -> None:
        super().__init__()
        self._estimated = estimated_rows
        self._task: TaskID | None = None
        self._step = ""
        self._first = 0
        self._started = time.monotonic()

    def report(self, event: str, facts: dict[str, Any]) -> None:
        """Take an event."""
        done = facts.get("rows", 0) + facts.get("rejected", 0)
        if event != self._step:
            self._finish_step()
            self._step, self._started = event, time.monotonic()
            self._first = done  # more than 0 where an interrupted build goes on; they say nothing about the rate
            total = facts.get("total", self._estimated if event == "encode" else 1)
            self._task = self._bar.add_task(event, total=total, completed=self._first, facts="")
        assert self._task is not None
        if done > self._first:
            rate = (done - self._first) / max(1e-9, time.monotonic() - self._started)
            broken = f", {facts['rejected']} broken" if facts.get("rejected") else ""
            self._bar.update(self._task, completed=done, facts=f"{rate:,.0f} rows/s{broken}")

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None):
            self._finish_step()
        super().__exit__(*error)

    def _finish_step(self) -> None:
        if self._task is not None:
            # An estimated total gives way to what there was.
            done = self._bar.tasks[-1].completed or 1
            self._bar.update(self._task, completed=done, total=done)


def _option_values(options: list[str]) -> dict[str, str]:
    values = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"--shortlist-option {option!r}: write name=value, such as links=16")
        values[name] = value
    return values
