"""``mrl classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.cascade import choose
from models.classifier import Classifier
from models.errors import DataError, InvalidOptionError
from models.rows import BrokenRow, is_row_file, read_rows
from service.commands.output import note, print_json, print_table

_SHOWN = 60
"""Characters of a text in the table."""


def classify(
    model: Annotated[
        Path, typer.Argument(help="Directory of a classifier that `mrl train` wrote.", show_default=False)
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Texts, or files of rows: .jsonl[.gz|.zst], .csv, .tsv or .parquet.", show_default=False),
    ] = None,
    text_field: Annotated[str, typer.Option(help="Field of the text in files.")] = "text",
    dims: Annotated[
        int | None, typer.Option(help="Classify at this size alone. Default: the cascade, shortest size first.")
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(help="Use the cheapest cascade with this validation accuracy. Default: that of the full size."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Stop after this many texts.", min=1)] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Classify texts adaptively: each stops at the shortest size that is sure enough of its answer."""
    classifier = Classifier.load(model)
    if accuracy is not None and not classifier.curve:
        raise InvalidOptionError("accuracy", f"{model} has one size and no cascade to choose by --accuracy")
    cascade = choose(list(classifier.curve), accuracy) if accuracy is not None else classifier.cascade
    if accuracy is not None and cascade is not None and cascade.accuracy < accuracy:
        note(f"no cascade has validation accuracy {accuracy}; the best has {cascade.accuracy:.4f}")
    read = _read(texts or [], text_field)[:limit]
    if not read:
        raise DataError("no text to classify: give texts or files after the model")
    answers = classifier.classify(read, dims=dims, cascade=cascade)
    if json_output:
        print_json(
            {
                "answers": [{"text": text, **answer.to_json()} for text, answer in zip(read, answers, strict=True)],
                "mean_dims": sum(answer.dims for answer in answers) / len(answers),
            }
        )
        return
    rows = [
        (answer.label, f"{answer.confidence:.3f}", str(answer.dims), " ".join(text.split())[:_SHOWN])
        for text, answer in zip(read, answers, strict=True)
    ]
    print_table(("label", "confidence", "dimensions", "text"), rows)
    note(f"{sum(answer.dims for answer in answers) / len(answers):.1f} dimensions a text on average")


def _read(given: list[str], field: str) -> list[str]:
    """Take arguments as texts, except names of existing files of rows."""
    texts = []
    for argument in given:
        path = Path(argument)
        if not is_row_file(path) or not path.is_file():
            texts.append(argument)
            continue
        for row in read_rows(path):
            text = None if isinstance(row, BrokenRow) else row.fields.get(field)
            if isinstance(text, str):
                texts.append(text)
            else:
                reason = row.reason if isinstance(row, BrokenRow) else f"no text in field {field!r}"
                note(f"passed over {path} line {row.number}: {reason}")
    return texts
