"""``mrl classify``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from indexer import Document, encode_documents
from models import Classifier, DataError, InvalidOptionError, Vectors
from models.classifier.cascade import choose
from models.data.images import IMAGE_SUFFIXES, is_image_file
from models.data.rows import BrokenRow, is_row_file, read_rows
from service.commands.options import ROWS, Json, TextField
from service.commands.output import note, note_skipped, print_json, print_table

_SHOWN = 60
"""Number of characters of a text in the table."""


def classify(
    model: Annotated[Path, typer.Argument(help="Directory of a classifier trained by mrl train.", show_default=False)],
    items: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Texts, or files of texts: {ROWS}. For an image classifier: image files, or folders of them.",
            show_default=False,
        ),
    ] = None,
    text_field: TextField = "text",
    dims: Annotated[
        int | None,
        typer.Option(help="Classify at this prefix size alone. Default: by the cascade, shortest size first."),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            help="Use the cheapest cascade of at least this validation accuracy. Default: that of the full size."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Number of texts or images after which to stop.", min=1)] = None,
    json_output: Json = False,
) -> None:
    """Classify texts or images adaptively: each stops at the shortest prefix whose prediction is confident enough."""
    classifier = Classifier.load(model)
    if accuracy is not None and not classifier.curve:
        raise InvalidOptionError("accuracy", f"{model} has a single size, so --accuracy has no cascade to choose from")
    cascade = choose(list(classifier.curve), accuracy) if accuracy is not None else classifier.cascade
    if accuracy is not None and cascade is not None and cascade.accuracy < accuracy:
        note(f"no cascade reaches validation accuracy {accuracy}; using the best, with {cascade.accuracy:.4f}")
    if classifier.of_images:
        kind, (read, vectors) = "image", _encoded(_image_files(items or [], model)[:limit], classifier)
        answers = classifier.classify_vectors(vectors, dims=dims, cascade=cascade)
    else:
        kind, read = "text", _texts(items or [], text_field, model)[:limit]
        answers = classifier.classify(read, dims=dims, cascade=cascade)
    if not read:
        wanted = "image files or folders of them" if classifier.of_images else "texts or files"
        raise DataError(f"no {kind} to classify: give {wanted} after the model")
    mean_dims = sum(answer.dims for answer in answers) / len(answers)
    if json_output:
        found = [{kind: item, **answer.to_json()} for item, answer in zip(read, answers, strict=True)]
        print_json({"answers": found, "mean_dims": mean_dims})
        return
    rows = [
        (answer.label, f"{answer.confidence:.3f}", str(answer.dims), " ".join(item.split())[:_SHOWN])
        for item, answer in zip(read, answers, strict=True)
    ]
    print_table(("label", "confidence", "dims", kind), rows)
    note(f"{mean_dims:.1f} dims per {kind} on average")


def _texts(given: list[str], field: str, model: Path) -> list[str]:
    """Take arguments as texts, except the names of existing files of rows, which are read."""
    texts = []
    for argument in given:
        path = Path(argument)
        if not argument or not _exists(path):
            texts.append(argument)
        elif is_image_file(path) or any(_images_below(path)):
            raise DataError(
                f"{argument} {'is an image' if path.is_file() else 'holds images'}, but {model} classifies texts: give "
                "texts or files of texts"
            )
        elif not is_row_file(path) or not path.is_file():
            texts.append(argument)
        else:
            texts += _rows(path, field)
    return texts


def _rows(path: Path, field: str) -> list[str]:
    texts = []
    for row in read_rows(path):
        text = None if isinstance(row, BrokenRow) else row.fields.get(field)
        if isinstance(text, str):
            texts.append(text)
        else:
            reason = row.reason if isinstance(row, BrokenRow) else f"no text in field {field!r}"
            note(f"skipped {path} line {row.number}: {reason}")
    return texts


def _image_files(given: list[str], model: Path) -> list[Path]:
    """Take arguments as image files, or folders of them, whose images follow in the order of their paths."""
    files = []
    for argument in given:
        path = Path(argument)
        found = [path] if is_image_file(path) else sorted(_images_below(path))
        if not found:
            raise DataError(
                f"{argument!r:.80} is neither an image file ({', '.join(IMAGE_SUFFIXES)}) nor a folder with one: "
                f"{model} classifies images"
            )
        files += found
    return files


def _images_below(folder: Path) -> Iterator[Path]:
    if _exists(folder) and folder.is_dir():
        yield from (path for path in folder.rglob("*") if is_image_file(path) and path.is_file())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text may be too long for a file name, or contain forbidden characters
        return False


def _encoded(files: list[Path], classifier: Classifier) -> tuple[list[str], Vectors]:
    """Encode images, skipping unreadable ones; return the names of those encoded and their vectors."""
    documents = [Document(str(path), "", {}, image=path) for path in files]
    vectors, problems = encode_documents(classifier.encoder, documents)
    names = [document.id for document in documents]
    note_skipped([(name, problem) for name, problem in zip(names, problems, strict=True) if problem], "images")
    good = [place for place, problem in enumerate(problems) if not problem]
    return [names[place] for place in good], vectors[np.array(good, np.int64)]
