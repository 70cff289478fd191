"""``mrl index append | delete | compact``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from indexer import Corpus, Fields, Generations
from indexer.building.append import APPEND_BATCH_SIZE, append_corpus
from indexer.building.compact import compact_index
from indexer.corpus import CorpusRow
from indexer.storage.manifest import Manifest
from indexer.storage.recorded_model import RecordedModel
from indexer.updates import Updates
from models.encoders.base import Encoder, ImageEncoder
from models.errors import DataError, ModelError
from service.commands.index import IndexPath
from service.commands.output import note, print_json
from service.commands.progress import BuildProgress

_ROWS_SHOWN = 10

ModelPlace = Annotated[str | None, typer.Option(help="Where the index's model is now, if it has moved.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``mrl index``."""
    for command in (append, delete, compact):
        app.command()(command)


def append(
    index: IndexPath,
    corpus: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders: .jsonl[.gz|.zst], .parquet, .csv, .tsv; a BEIR folder; texts or images.",
            show_default=False,
        ),
    ],
    id_field: Annotated[str | None, typer.Option(help="Field of the id. Default: _id, else id.")] = None,
    text_field: Annotated[str, typer.Option(help="Field of the text.")] = "text",
    title_field: Annotated[str, typer.Option(help="Field of the title, which is put before the text.")] = "title",
    model: ModelPlace = None,
    device: Annotated[str, typer.Option(help="Where documents are encoded: auto, cpu or cuda.")] = "auto",
    batch_size: Annotated[int, typer.Option(help="Rows encoded and written together.")] = APPEND_BATCH_SIZE,
    rejected: Annotated[
        typer.FileTextWrite | None, typer.Option(help="List the rows turned away in this file.", encoding="utf-8")
    ] = None,
    json_output: Json = False,
) -> None:
    """Add the documents of a corpus to an index; those whose ids are there replace what is there.

    What is written is on disk, and found by every search from then on, those of a running service included.
    """
    started = time.monotonic()
    fields = Fields(id_field, text_field, title_field)
    shown: list[CorpusRow] = []

    def turned_away(row: CorpusRow) -> None:
        if len(shown) < _ROWS_SHOWN:
            shown.append(row)
        if rejected:
            line = {"source": row.source, "line": row.line, "reason": row.problem}
            rejected.write(json.dumps(line, ensure_ascii=False) + "\n")

    with Updates.open(index, model=model, device=device) as updates:
        source = Corpus(corpus, fields, prefer_images=isinstance(updates.model.encoder, ImageEncoder))
        with BuildProgress(source.estimated_rows()) as progress:
            result = append_corpus(
                source, updates, batch_size=batch_size, turned_away=turned_away, report=progress.report
            )
    seconds = time.monotonic() - started
    if json_output:
        facts = {"added": result.added, "replaced": result.replaced, "rejected": result.rejected}
        print_json({"index": str(index), **facts, "seconds": round(seconds, 3)})
        return
    note(f"{index}: {result.added} documents added, {result.replaced} replaced in {seconds:.1f} s")
    if result.rejected:
        note(f"{result.rejected} rows were turned away{f', listed in {rejected.name}' if rejected else ''}:")
        for row in shown:
            note(f"  {row.source} line {row.line}: {row.problem}")
    note("mrl index compact folds updates into a new generation")


def delete(
    index: IndexPath,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of the documents.", show_default=False)] = None,
    from_file: Annotated[
        typer.FileText | None,
        typer.Option("--from", help="A file of ids, one a line; - reads them from standard input.", encoding="utf-8"),
    ] = None,
    json_output: Json = False,
) -> None:
    """Delete documents from an index; ids that are not there are passed over."""
    wanted = [*(ids or []), *(_lines(from_file) if from_file else [])]
    if not wanted:
        raise typer.BadParameter("no id given: name some, or a file of them by --from")
    with Updates.open(index) as updates:
        deleted = updates.delete(wanted)
    if json_output:
        print_json({"index": str(index), "deleted": deleted, "missing": len(set(wanted)) - deleted})
        return
    typer.echo(f"{index}: {deleted} documents deleted, {len(set(wanted)) - deleted} ids were not there")


def compact(
    index: IndexPath,
    keep: Annotated[int, typer.Option(help="Generations kept, the new one counted.")] = 2,
    model: ModelPlace = None,
    device: Annotated[str, typer.Option(help="Where calibration encodes its queries: auto, cpu or cuda.")] = "auto",
    json_output: Json = False,
) -> None:
    """Fold the updates of an index into a new generation and publish it; searches and updates go on meanwhile."""
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
        note(f"{index}: there are no updates since generation {result.generation}")
        return
    note(
        f"generation {result.generation} of {index}: {result.operations} updates folded in, {result.rows} documents "
        f"in {seconds:.1f} s"
    )
    if result.stood_in:
        note("plans were calibrated with stand-in queries; mrl index calibrate --queries does it with yours")
    if result.pruned:
        note(f"deleted generations {', '.join(result.pruned)}; --keep sets how many stay")


def _model(index: Path, place: str | None, device: str) -> Encoder | None:
    """Return the model of an index whose plans are to be calibrated anew; None where it is not found."""
    generations = Generations(index)
    manifest = Manifest.read(generations.path(generations.require_published()))
    if manifest.calibration is None:
        return None
    try:
        return RecordedModel(index, manifest.model, None, place, device).encoder
    except ModelError as error:
        note(f"{error}; plans are calibrated without it, by documents' vectors")
        return None


def _lines(file: typer.FileText) -> list[str]:
    try:
        return [line for line in file.read().splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file.name}: {error}") from error
