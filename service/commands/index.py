"""``mrl index build | verify | snapshot | rollback``; the other commands of ``mrl index`` are registered here too."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from indexer import (
    AUTO_SHORTLIST,
    SHORTLIST_KINDS,
    BuildOptions,
    CalibrationOptions,
    Corpus,
    Fields,
    Generations,
    Journal,
    LexicalOptions,
    Manifest,
    OnError,
    Storage,
    Target,
    build_index,
    snapshot_index,
)
from models import ImageEncoder, InvalidOptionError, Nesting, load_encoder
from service.commands import updates
from service.commands.calibrate import calibrate
from service.commands.inspect import inspect
from service.commands.options import (
    CorpusPaths,
    Device,
    EncodingBatch,
    Generation,
    IdField,
    IndexPath,
    Json,
    Keep,
    TextField,
    TitleField,
)
from service.commands.output import human_bytes, note, print_json
from service.commands.progress import BuildProgress

app = typer.Typer(
    help="Build, calibrate, inspect, update, verify, back up and roll back an index.", no_args_is_help=True
)


_DEFAULTS = BuildOptions()
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_STRUCTURE, _LEXICAL, _ENCODING = "Shortlist and calibration", "Words", "Encoding"


@app.command()
def build(
    corpus: CorpusPaths,
    out: Annotated[Path, typer.Option(help="Index directory.", show_default=False)],
    model: Annotated[str, typer.Option(help="Model: its directory, a hub name or 'wordllama'.")] = "wordllama",
    id_field: IdField = None,
    text_field: TextField = "text",
    title_field: TitleField = "title",
    vectors: Annotated[
        str, typer.Option(help=f"Storage type of the full vectors: {', '.join(get_args(Storage))}.")
    ] = _DEFAULTS.vectors,
    filterable: Annotated[
        list[str] | None,
        typer.Option(help="Payload field to index for filters; repeatable. Filters on other fields need a slow scan."),
    ] = None,
    on_error: Annotated[
        str, typer.Option(help=f"Invalid rows: {' or '.join(get_args(OnError))}. Skipped rows are listed.")
    ] = _DEFAULTS.on_error,
    batch_size: EncodingBatch = _DEFAULTS.batch_size,
    resume: Annotated[bool, typer.Option(help="Resume an interrupted build, or start over.")] = True,
    keep: Keep = _DEFAULTS.keep,
    json_output: Json = False,
    dims: Annotated[
        int | None,
        typer.Option(help="Prefix size of the shortlist. Default: by the model's sizes.", rich_help_panel=_STRUCTURE),
    ] = None,
    shortlist: Annotated[
        str,
        typer.Option(
            help=f"Shortlist structure: {AUTO_SHORTLIST}, {', '.join(SHORTLIST_KINDS)}.", rich_help_panel=_STRUCTURE
        ),
    ] = _DEFAULTS.shortlist,
    shortlist_option: Annotated[
        list[str] | None,
        typer.Option(
            "--shortlist-option",
            "-o",
            help="Build option of the structure, such as links=16; repeatable.",
            rich_help_panel=_STRUCTURE,
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Choose the fastest structure with at least this recall@10.", rich_help_panel=_STRUCTURE),
    ] = None,
    milliseconds: Annotated[
        float | None,
        typer.Option(
            help="Choose the structure with the best recall within this latency (one query, one thread).",
            rich_help_panel=_STRUCTURE,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Choose a structure within this memory, such as 500MB; memory-mapped vectors do not count.",
            rich_help_panel=_STRUCTURE,
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            help="Measure search plans at the end, so that searches can choose among them.", rich_help_panel=_STRUCTURE
        ),
    ] = True,
    calibration_seconds: Annotated[
        float | None,
        typer.Option(
            help="Time budget of the calibration. Default: by the size of the index, at most a minute.",
            rich_help_panel=_STRUCTURE,
        ),
    ] = None,
    lexical: Annotated[
        bool,
        typer.Option(
            "--lexical", help="Also index the words of titles and texts, for hybrid search.", rich_help_panel=_LEXICAL
        ),
    ] = False,
    lexical_field: Annotated[
        list[str] | None,
        typer.Option(
            help="Payload field whose words are indexed instead of title and text; repeatable.",
            rich_help_panel=_LEXICAL,
        ),
    ] = None,
    lexical_language: Annotated[
        str | None,
        typer.Option(
            help="Language for stemming, so that wing matches wings: english, german, …", rich_help_panel=_LEXICAL
        ),
    ] = None,
    device: Device = "auto",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Prefix sizes the model is trained for, if it does not record them, such as 64,128,256.",
            rich_help_panel=_ENCODING,
        ),
    ] = None,
    query_prompt: Annotated[
        str | None, typer.Option(help="Prompt of queries, instead of the model's own.", rich_help_panel=_ENCODING)
    ] = None,
    document_prompt: Annotated[
        str | None, typer.Option(help="Prompt of documents, instead of the model's own.", rich_help_panel=_ENCODING)
    ] = None,
) -> None:
    """Encode a corpus and publish it as a new generation of an index.

    An earlier generation serves searches until the new one is complete. If the build is interrupted, the same command
    resumes it after the last batch that was encoded.
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
        vectors=cast(Storage, vectors),  # BuildOptions checks it
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
        note(f"{result.resumed_rows} of them were encoded by the interrupted build")
    if result.rejected:
        note(f"{result.rejected} rows were rejected, see {result.report}")
    if result.pruned:
        note(f"deleted generations {', '.join(result.pruned)}; --keep sets how many to keep")


@app.command()
def verify(
    index: IndexPath,
    generation: Generation = None,
) -> None:
    """Compare the checksums of every file of a generation, and of the journal; exit status 1 if one differs."""
    generations = Generations(index)
    name = generations.named(generation) if generation else generations.require_published()
    folder = generations.path(name)
    manifest = Manifest.read(folder)
    manifest.check(folder)
    with closing(Journal(index)) as journal:
        updates = journal.verify()
    typer.echo(
        f"generation {name} of {index}: {len(manifest.files)} files and {updates} updates in the journal are intact"
    )


@app.command()
def snapshot(
    index: IndexPath,
    destination: Annotated[
        Path, typer.Argument(help="Directory of the copy; it must not exist yet.", show_default=False)
    ],
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy files even if they could be hard-linked, on the same file system.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Copy the published generation and all updates while the index is in use, and verify the copy's checksums.

    The copy is an index: serve it, or put it in the place of a lost one. It does not contain the model.
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
        f"{how}, with {result.operations} updates in the journal, in {seconds:.1f} s"
    )


@app.command()
def rollback(
    index: IndexPath,
    to: Annotated[str | None, typer.Option(help="Generation to publish. Default: the previous one.")] = None,
) -> None:
    """Publish an earlier generation again. Nothing is deleted: to go forward, name a later generation with --to."""
    generations = Generations(index)
    with generations.locked():
        before, now = generations.rollback(to)
    typer.echo(f"{index}: published generation {now} instead of {before}")


def _option_values(options: list[str]) -> dict[str, str]:
    values = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"--shortlist-option {option!r}: write name=value, such as links=16")
        values[name] = value
    return values


def _lexical(enabled: bool, fields: list[str], language: str | None) -> LexicalOptions | None:
    if not enabled and (fields or language):
        raise typer.BadParameter("--lexical-field and --lexical-language need --lexical")
    return LexicalOptions(fields=tuple(fields), language=language) if enabled else None


def _target(recall: float | None, milliseconds: float | None, memory: str | None) -> Target | None:
    if recall is None and milliseconds is None and memory is None:
        return None
    return Target(recall=recall, milliseconds=milliseconds, memory=None if memory is None else _bytes(memory))


def _bytes(text: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]I?B)?\s*", text.upper())
    if found is None:
        raise InvalidOptionError("memory", f"memory {text!r}: give a number of bytes, or a size such as 500MB or 1.5GB")
    return round(float(found[1]) * _UNITS[found[2] or ""])


app.command()(calibrate)
app.command()(inspect)
for command in (updates.append, updates.delete, updates.compact):
    app.command()(command)
