"""A corpus: files of rows, or a folder of texts or images, read as documents, with a place to take up again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.data.images import IMAGE_SUFFIXES, ImageSource, image_size, is_image_file
from models.data.rows import ROW_SUFFIXES, BrokenRow, estimate_rows, is_row_file, read_rows
from models.data.unicode import unicode_problem
from models.data.vector_text import read_vector
from models.errors import DataError, ImageError, InvalidOptionError
from models.nesting import Vectors

TEXT_SUFFIXES = (".txt", ".md", ".rst")
_KNOWN_SUFFIXES = ROW_SUFFIXES + TEXT_SUFFIXES + IMAGE_SUFFIXES
_DEFAULT_ID_FIELDS = ("_id", "id")
VECTOR_FIELD = "_vector"
"""Field of a row that holds its vector, which is then taken as it is in place of one by the model."""
_DEEPEST = 100
"""Levels of lists and objects in a field: what a parser takes may be more than the stack of whoever writes it again."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it goes into an index.

    Attributes:
        id: unique in the corpus.
        text: what is encoded: title and text joined by a space.
        payload: every field but the id and the vector, JSON values.
        image: what is encoded in the text's place, where given.
        vector: what is stored in place of an encoding, where given: shape (D,), any scale.
    """

    id: str
    text: str
    payload: dict[str, Any]
    image: ImageSource | None = None
    vector: Vectors | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading stands: ``row`` rows of file number ``file`` are done."""

    file: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One row of the corpus, good or broken.

    Attributes:
        source, line: the file as found and the line (Parquet: row) in it, from 1.
        place: where reading goes on after this row.
        document: None where the row is broken.
        problem: why it is broken; empty where it is not.
    """

    source: str
    line: int
    place: Place
    document: Document | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of the fields that make a document.

    Attributes:
        id: ``_id`` (BEIR's name), else ``id``, where not given.
        text, title: BEIR's names by default. A row needs text or a title, if it has no vector of its own.
    """

    id: str | None = None
    text: str = "text"
    title: str = "title"


class Corpus:
    """The files of a corpus in a fixed order.

    A folder stands for the row files (JSON Lines, CSV, Parquet) below it; where it holds ``corpus.jsonl`` (a BEIR
    folder, with queries and judgements beside) for that one alone; where it holds no row file for its text files, and
    where it holds none of them for its images.
    """

    def __init__(self, paths: Sequence[Path], fields: Fields | None = None, *, prefer_images: bool = False) -> None:
        """Find the files.

        Args:
            paths: files and folders.
            fields: what makes a document of a row.
            prefer_images: a folder that holds images stands for them, whatever else it holds.

        Raises:
            DataError: a path does not exist, or holds nothing that can be read.
            InvalidOptionError: no path given.
        """
        if not paths:
            raise InvalidOptionError("corpus", "no corpus given: name at least one file or folder")
        self.fields = fields or Fields()
        found = [item for path in paths for item in _files(path, prefer_images)]
        self.files = list(dict.fromkeys(found))

    def estimated_rows(self) -> int:
        """Estimate the number of rows, for a progress display; see :func:`models.data.rows.estimate_rows`."""
        return sum(estimate_rows(path) if is_row_file(path) else 1 for path, _ in self.files)

    def fingerprint(self) -> list[dict[str, Any]]:
        """Name, size and time of change of each file: a build resumes only over the same."""
        entries = []
        for path, _ in self.files:
            stat = path.stat()
            entries.append({"file": str(path.resolve()), "size": stat.st_size, "changed_ns": stat.st_mtime_ns})
        return entries

    def rows(self, start: Place | None = None) -> Iterator[CorpusRow]:
        """Stream all rows from ``start`` on."""
        start = start or Place()
        for number, (path, root) in enumerate(self.files[start.file :], start=start.file):
            skip = start.row if number == start.file else 0
            if is_row_file(path):
                for done, row in enumerate(read_rows(path, skip=skip), start=skip + 1):
                    yield self._row(path, row.number, Place(number, done), row)
            elif skip == 0:
                file_row = _image_row if is_image_file(path) else _text_row
                yield file_row(path, root, Place(number, 1))

    def _row(self, path: Path, line: int, place: Place, row: Any) -> CorpusRow:
        if isinstance(row, BrokenRow):
            return CorpusRow(str(path), line, place, None, row.reason)
        try:
            return CorpusRow(str(path), line, place, parse_document(row.fields, self.fields))
        except ValueError as error:
            return CorpusRow(str(path), line, place, None, str(error))


def parse_document(row: dict[str, Any], fields: Fields | None = None) -> Document:
    """Make a document of a row.

    Args:
        row: values by field.
        fields: what makes a document of it.

    Raises:
        ValueError: it is none; the message says why.
    """
    fields = fields or Fields()
    names = (fields.id,) if fields.id else _DEFAULT_ID_FIELDS
    id_field = next((name for name in names if name in row), None)
    if id_field is None:
        raise ValueError(f"no field {' or '.join(map(repr, names))}; the row has {sorted(map(str, row))}")
    identifier = row[id_field]
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        raise ValueError(f"id {identifier!r} in field {id_field!r} is not a text or a whole number")
    vector = None if row.get(VECTOR_FIELD) is None else read_vector(row[VECTOR_FIELD], VECTOR_FIELD)
    texts = [_checked_text(row, name) for name in (fields.title, fields.text)]
    text = " ".join(part for part in texts if part)
    if not text and vector is None:
        raise ValueError(f"missing text: fields {fields.text!r} and {fields.title!r} are absent or empty")
    payload = {
        _name(name): _json_value(name, value) for name, value in row.items() if name not in (id_field, VECTOR_FIELD)
    }
    identifier = str(identifier)
    _check_unicode(id_field, identifier)
    return Document(identifier, text, payload, vector=vector)


def _files(path: Path, prefer_images: bool) -> list[tuple[Path, Path]]:
    """Return (file, the folder its name is told from)."""
    if path.is_file():
        if path.name.lower().endswith(_KNOWN_SUFFIXES):
            return [(path, path.parent)]
        raise DataError(f"corpus file {path}: unknown kind; known are {', '.join(_KNOWN_SUFFIXES)}")
    if not path.is_dir():
        raise DataError(f"corpus {path}: no such file or folder")
    for suffix in ("", ".gz", ".zst"):
        beir = path / f"corpus.jsonl{suffix}"
        if beir.is_file():
            return [(beir, path)]
    everything = sorted(item for item in path.rglob("*") if item.is_file())
    rows = [item for item in everything if is_row_file(item)]
    texts = [item for item in everything if item.suffix.lower() in TEXT_SUFFIXES]
    images = [item for item in everything if is_image_file(item)]
    chosen = (prefer_images and images) or rows or texts or images
    if not chosen:
        raise DataError(f"corpus folder {path} holds no file of a known kind: {', '.join(_KNOWN_SUFFIXES)}")
    return [(item, path) for item in chosen]


def _text_row(path: Path, root: Path, place: Place) -> CorpusRow:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return CorpusRow(str(path), 1, place, None, f"not UTF-8: {error.reason} at byte {error.start}")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not text.strip():
        return CorpusRow(str(path), 1, place, None, "missing text: the file is empty")
    name = path.relative_to(root).as_posix()
    return CorpusRow(str(path), 1, place, Document(name, text.strip(), {"text": text}))


def _image_row(path: Path, root: Path, place: Place) -> CorpusRow:
    """Look at the beginning of an image alone: it is read whole when it is encoded, where it may yet be turned away."""
    try:
        width, height = image_size(path)
        name, address = path.relative_to(root).as_posix(), str(path.resolve())
        _check_unicode("path", address)
    except ImageError as error:
        return CorpusRow(str(path), 1, place, None, error.reason)
    except ValueError as error:
        return CorpusRow(repr(str(path)), 1, place, None, str(error))
    payload = {"path": address, "width": width, "height": height}
    return CorpusRow(str(path), 1, place, Document(name, "", payload, image=path))


def _checked_text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is not text but {value!r:.80}")
    _check_unicode(name, value)
    return value.strip()


def _check_unicode(name: str, value: str) -> None:
    if problem := unicode_problem(value):
        raise ValueError(f"field {name!r} is not valid Unicode: {problem}")


def _name(key: Any) -> str:
    name = str(key)
    _check_unicode(name, name)
    return name


def _json_value(name: str, value: Any, depth: int = 0) -> Any:
    """Turn a value into one that JSON holds, or say why it cannot be."""
    if depth > _DEEPEST:
        raise ValueError(f"field {name!r} is nested more than {_DEEPEST} deep")
    match value:
        case None | bool() | int():
            return value
        case str():
            _check_unicode(name, value)
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"field {name!r} is {value}, which JSON cannot hold")
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | timedelta():
            return str(value)
        case list() | tuple():
            return [_json_value(name, item, depth + 1) for item in value]
        case dict():
            return {_name(key): _json_value(name, item, depth + 1) for key, item in value.items()}
        case _:
            raise ValueError(f"field {name!r} holds a {type(value).__name__}, which JSON cannot hold")
