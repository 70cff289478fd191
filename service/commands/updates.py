"""``mrl index append | delete | compact``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from indexer import (
    APPEND_BATCH_SIZE,
    Corpus,
    CorpusRow,
    Fields,
    Generations,
    Manifest,
    RecordedModel,
    Updates,
    append_corpus,
    compact_index,
)
from models import DataError, Encoder, ImageEncoder, ModelError
from service.commands.options import (
    CorpusPaths,
    Device,
    EncodingBatch,
    IdField,
    IndexPath,
    Json,
    Keep,
    ModelLocation,
    TextField,
    TitleField,
)
from service.commands.output import note, print_json
from service.commands.progress import BuildProgress

_ROWS_SHOWN = 10


def append(
    index: IndexPath,
    corpus: CorpusPaths,
    id_field: IdField = None,
    text_field: TextField = "text",
    title_field: TitleField = "title",
    model: ModelLocation = None,
    device: Device = "auto",
    batch_size: EncodingBatch = APPEND_BATCH_SIZE,
    rejected: Annotated[
        typer.FileTextWrite | None, typer.Option(help="List rejected rows in this file.", encoding="utf-8")
    ] = None,
    json_output: Json = False,
) -> None:
    """Add the documents of a corpus to an index; a document replaces an indexed one with the same id.

    Written documents are durable, and every later search finds them, those of a running service included.
    """
    started = time.monotonic()
    fields = Fields(id=id_field, text=text_field, title=title_field)
    shown: list[CorpusRow] = []

    def list_rejected(row: CorpusRow) -> None:
        if len(shown) < _ROWS_SHOWN:
            shown.append(row)
        if rejected:
            line = {"source": row.source, "line": row.line, "reason": row.problem}
            rejected.write(json.dumps(line, ensure_ascii=False) + "\n")

    with Updates.open(index, model=model, device=device) as updates:
        source = Corpus(corpus, fields, prefer_images=isinstance(updates.model.encoder, ImageEncoder))
        with BuildProgress(source.estimated_rows()) as progress:
            result = append_corpus(
                source, updates, batch_size=batch_size, on_rejected=list_rejected, report=progress.report
            )
    seconds = time.monotonic() - started
    if json_output:
        facts = {"added": result.added, "replaced": result.replaced, "rejected": result.rejected}
        print_json({"index": str(index), **facts, "seconds": round(seconds, 3)})
        return
    note(f"{index}: {result.added} documents added, {result.replaced} replaced in {seconds:.1f} s")
    if result.rejected:
        note(f"{result.rejected} rows were rejected{f', see {rejected.name}' if rejected else ''}:")
        for row in shown:
            note(f"  {row.source} line {row.line}: {row.problem}")
    note("run mrl index compact to fold the updates into a new generation")


def delete(
    index: IndexPath,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.", show_default=False)] = None,
    from_file: Annotated[
        typer.FileText | None,
        typer.Option("--from", help="File of ids, one per line; - reads standard input.", encoding="utf-8"),
    ] = None,
    json_output: Json = False,
) -> None:
    """Delete documents from an index; ids that it does not hold are skipped."""
    wanted = [*(ids or []), *(_lines(from_file) if from_file else [])]
    if not wanted:
        raise typer.BadParameter("no id given: name ids, or a file of ids with --from")
    with Updates.open(index) as updates:
        deleted = updates.delete(wanted)
    if json_output:
        print_json({"index": str(index), "deleted": deleted, "missing": len(set(wanted)) - deleted})
        return
    typer.echo(f"{index}: {deleted} documents deleted, {len(set(wanted)) - deleted} ids not found")


def compact(
    index: IndexPath,
    keep: Keep = 2,
    model: ModelLocation = None,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Fold the updates of an index into a new generation and publish it, while searches and updates continue."""
    started = time.monotonic()
    encoder = _model(index, model, device)
    with BuildProgress(0) as progress:
        result = compact_index(index, keep=keep, encoder=encoder, report=progress.report)
    seconds = time.monotonic() - started
    if json_output:
        facts = {"generation": result.generation, "documents": result.rows, "operations": result.operations}
        print_json({"index": str(index), **facts, "seconds": round(seconds, 3)})
        return
    if not result.operations:
        note(f"{index}: no updates since generation {result.generation}")
        return
    note(
        f"generation {result.generation} of {index}: {result.operations} updates folded in, {result.rows} documents, "
        f"{seconds:.1f} s"
    )
    if result.given_queries_replaced:
        note("plans were calibrated with synthesised queries; run mrl index calibrate --queries FILE to use yours")
    if result.pruned:
        note(f"deleted generations {', '.join(result.pruned)}; --keep sets how many to keep")


def _model(index: Path, location: str | None, device: str) -> Encoder | None:
    """Return the model of a calibrated index, to calibrate it again; None if it has no calibration or no model."""
    generations = Generations(index)
    manifest = Manifest.read(generations.path(generations.require_published()))
    if manifest.calibration is None:
        return None
    try:
        return RecordedModel(index, manifest.model, None, location, device).encoder
    except ModelError as error:
        note(f"{error}; plans are calibrated with vectors of documents instead")
        return None


def _lines(file: typer.FileText) -> list[str]:
    try:
        return [line for line in file.read().splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file.name}: {error}") from error
