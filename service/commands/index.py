"""``mrl index build | inspect | verify | snapshot | rollback``; ``calibrate`` is registered here."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from indexer import BuildOptions, Corpus, Fields, Generations, LexicalOptions, build_index, snapshot_index
from indexer.building.build import OnError
from indexer.calibration import CalibrationOptions, Target
from indexer.calibration.structure import AUTO
from indexer.shortlist import KINDS
from indexer.storage.journal import Journal
from indexer.storage.manifest import Manifest
from indexer.storage.vectors import Storage
from models.encoders.base import ImageEncoder
from models.encoders.load import load_encoder
from models.errors import InvalidOptionError
from models.nesting import Nesting
from service.commands.calibrate import calibrate
from service.commands.inspect import inspect
from service.commands.output import human_bytes, note, print_json
from service.commands.progress import BuildProgress

app = typer.Typer(
    help="Build an index from a corpus, look at it, check it, copy it, go back to an earlier one.", no_args_is_help=True
)

app.command()(calibrate)
app.command()(inspect)

_DEFAULTS = BuildOptions()
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
IndexPath = Annotated[Path, typer.Argument(help="The index directory.", show_default=False)]


@app.command()
def build(
    corpus: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders: .jsonl[.gz|.zst], .parquet, .csv, .tsv; a BEIR folder; texts or images.",
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
    shortlist: Annotated[
        str, typer.Option(help=f"Shortlist structure: {AUTO}, {', '.join(KINDS)}.")
    ] = _DEFAULTS.shortlist,
    shortlist_option: Annotated[
        list[str] | None,
        typer.Option("--shortlist-option", "-o", help="A build option of the structure, such as links=16; repeatable."),
    ] = None,
    recall: Annotated[
        float | None, typer.Option(help="Choose the structure that holds this recall@10 in the least time.")
    ] = None,
    milliseconds: Annotated[
        float | None, typer.Option(help="Choose the structure by what it finds in this time a query, on one thread.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Choose a structure that fits this memory, such as 500MB; mapped vectors apart.")
    ] = None,
    calibrate: Annotated[bool, typer.Option(help="Measure ways to search at the end, so that searches choose.")] = True,
    calibration_seconds: Annotated[
        float | None, typer.Option(help="Time for that. Default: by the size of the index, at most a minute.")
    ] = None,
    vectors: Annotated[
        str, typer.Option(help=f"How full vectors are stored: {', '.join(get_args(Storage))}.")
    ] = _DEFAULTS.vectors,
    filterable: Annotated[
        list[str] | None,
        typer.Option(help="A payload field that filters find at once; repeatable. Others are found by a slow scan."),
    ] = None,
    lexical: Annotated[
        bool, typer.Option("--lexical", help="Index the words of titles and texts too, for hybrid searches.")
    ] = False,
    lexical_field: Annotated[
        list[str] | None,
        typer.Option(help="A payload field whose words are indexed in place of title and text; repeatable."),
    ] = None,
    lexical_language: Annotated[
        str | None, typer.Option(help="Language of the words, so that wing finds wings: english, german, …")
    ] = None,
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
        target=_target(recall, milliseconds, memory),
        calibration=CalibrationOptions(seconds=calibration_seconds) if calibrate else None,
        vectors=cast(Storage, vectors),  # checked by BuildOptions itself
        filterable=tuple(filterable or ()),
        lexical=_lexical(lexical, lexical_field or [], lexical_language),
        on_error=cast(OnError, on_error),
        batch_size=batch_size,
        keep=keep,
    )
    fields = Fields(id=id_field, text=text_field, title=title_field)
    source = Corpus(corpus, fields, prefer_images=isinstance(encoder, ImageEncoder))
    with BuildProgress(source.estimated_rows()) as progress:
        result = build_index(source, encoder, out, options, resume=resume, report=progress.report)
    seconds = time.monotonic() - started
    for problem in result.missed:
        note(f"warning: target missed: {problem}")
    if json_output:
        print_json(
            {
                "index": str(out),
                "generation": result.generation,
                "documents": result.rows,
                "resumed": result.resumed_rows,
                "rejected": result.rejected,
                "report": str(result.report),
                "missed": list(result.missed),
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
def verify(
    index: IndexPath,
    generation: Annotated[str | None, typer.Option(help="Another generation than the published one.")] = None,
) -> None:
    """Read every file of a generation, and the journal, and compare checksums; exit status 1 where one differs."""
    generations = Generations(index)
    name = generations.named(generation) if generation else generations.require_published()
    folder = generations.path(name)
    manifest = Manifest.read(folder)
    manifest.check(folder)
    with closing(Journal(index)) as journal:
        updates = journal.verify()
    typer.echo(
        f"generation {name} of {index}: {len(manifest.files)} files are as they were written, and so are {updates} "
        "updates in the journal"
    )


@app.command()
def snapshot(
    index: IndexPath,
    destination: Annotated[
        Path, typer.Argument(help="The copy: a directory that is not there yet.", show_default=False)
    ],
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy files also where they could be linked, on the same file system.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Copy the published generation and all updates while the index is in use, and compare the copy's checksums.

    The copy is an index itself: serve it, or put it in the place of one that is lost. Its model is not in it.
    """
    started = time.monotonic()
    result = snapshot_index(index, destination, copy=copy)
    seconds = time.monotonic() - started
    if json_output:
        print_json({"index": str(index), "snapshot": str(destination), **asdict(result), "seconds": round(seconds, 3)})
        return
    how = "linked" if result.linked else "copied"
    typer.echo(
        f"{destination}: generation {result.generation} of {index}, {result.files} files ({human_bytes(result.size)}) "
        f"{how}, and {result.operations} updates in the journal, in {seconds:.1f} s"
    )


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


def _option_values(options: list[str]) -> dict[str, str]:
    values = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"--shortlist-option {option!r}: write name=value, such as links=16")
        values[name] = value
    return values


def _lexical(asked: bool, fields: list[str], language: str | None) -> LexicalOptions | None:
    if not asked and (fields or language):
        raise typer.BadParameter("--lexical-field and --lexical-language are about the words of --lexical: give it too")
    return LexicalOptions(fields=tuple(fields), language=language) if asked else None


def _target(recall: float | None, milliseconds: float | None, memory: str | None) -> Target | None:
    if recall is None and milliseconds is None and memory is None:
        return None
    return Target(recall=recall, milliseconds=milliseconds, memory=None if memory is None else _bytes(memory))


def _bytes(text: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]I?B)?\s*", text.upper())
    if found is None:
        raise InvalidOptionError("memory", f"memory {text!r}: give a number of bytes, or such as 500MB or 1.5GB")
    return round(float(found[1]) * _UNITS[found[2] or ""])
