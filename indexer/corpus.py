"""A corpus: files of rows, or a folder of texts or images, read as documents from any position on."""

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
from models.errors import DataError, ImageError, InvalidOptionError, RejectedRowError
from models.nesting import Vectors

TEXT_SUFFIXES = (".txt", ".md", ".rst")
_KNOWN_SUFFIXES = ROW_SUFFIXES + TEXT_SUFFIXES + IMAGE_SUFFIXES
_DEFAULT_ID_FIELDS = ("_id", "id")
VECTOR_FIELD = "_vector"
"""Field of a row that holds the document's vector, stored in place of the model's."""
_DEEPEST = 100
"""Nesting of lists and objects in a field: a parser may accept deeper values than the serializer's stack allows."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document to be indexed.

    Usage::

        Document("4", "The tide rises twice a day.", {"year": 2020}, title="Tides")
        Document("5", image=Path("beach.jpg"))

    Search results carry the payload with title and text in it, as they do for the rows of a corpus.

    Attributes:
        id: unique in the index.
        text: encoded after the title, and stored in the payload.
        payload: further fields, JSON values.
        title: encoded before the text, and stored in the payload.
        image: encoded instead of title and text, if given.
        vector: stored instead of an encoding, if given; shape (D,), any scale.
        fields: names under which the payload already holds title and text; None if it does not hold them. An index
            stores them under the names that the rows of its corpus have.
    """

    id: str
    text: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    title: str = field(default="", kw_only=True)
    image: ImageSource | None = field(default=None, kw_only=True)
    vector: Vectors | None = field(default=None, compare=False, kw_only=True)
    fields: Fields | None = field(default=None, compare=False, kw_only=True)

    @property
    def full_text(self) -> str:
        """Title and text joined by a space, as they are encoded."""
        return f"{self.title} {self.text}" if self.title and self.text else self.title or self.text

    def stored_payload(self, title: str, text: str) -> dict[str, Any]:
        """Return the payload with title and text in the fields of these names.

        Raises:
            RejectedRowError: the payload holds another title or text.
        """
        payload, given = self.payload, (self.title, self.text)
        if self.fields is not None:
            held = self.fields.title, self.fields.text
            if held == (title, text):
                return payload
            given = payload.get(held[0], ""), payload.get(held[1], "")
            payload = {name: value for name, value in payload.items() if name not in held}
        own: dict[str, str] = {}
        for attribute, name, value in (("title", title, given[0]), ("text", text, given[1])):
            if _is_blank(value):
                continue
            if not _is_blank(other := payload.get(name)) and (
                not isinstance(other, str) or other.strip() != value.strip()
            ):
                raise RejectedRowError(
                    f"payload field {name!r} holds {other!r:.80}, the document's {attribute} is {value!r:.80}: "
                    f"leave the field out, as the {attribute} is stored in it"
                )
            own[name] = f"{own[name]} {value}" if name in own else value
        # First, as in rows; fields that the payload already holds keep their position.
        return {**{name: value for name, value in own.items() if name not in payload}, **payload, **own}


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a corpus: the next row to read is row number ``row``, from 0, of file number ``file``."""

    file: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One row of the corpus, valid or rejected.

    Attributes:
        source, line: the file as it was found, and the line in it (in Parquet the row), from 1.
        place: position after this row.
        document: the document; None if the row was rejected.
        problem: why the row was rejected; empty if it was not.
    """

    source: str
    line: int
    place: Place
    document: Document | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Names of the fields of a row that make up a document.

    A file with the columns ``key``, ``name`` and ``about`` in place of BEIR's names::

        Corpus(["products.csv"], Fields(id="key", title="name", text="about"))

    Attributes:
        id: field of the id; ``_id`` (BEIR's name) or else ``id`` if None.
        text, title: fields of the text to encode, BEIR's names by default. A row needs one of them, unless it has a
            vector.
    """

    id: str | None = None
    text: str = "text"
    title: str = "title"


class Corpus:
    """The files of a corpus in a fixed order.

    A row file, a folder of them, or a folder of texts or images::

        Corpus(["corpus.jsonl"])
        Corpus(["notes/", "wiki.parquet"], Fields(text="body"))

    A folder stands for all row files (JSON Lines, CSV, Parquet) below it. If it holds ``corpus.jsonl`` (a BEIR folder,
    which also holds queries and judgements), it stands for that file alone; if it holds no row files, for its text
    files; and if it holds none of those either, for its images.
    """

    def __init__(
        self, paths: Sequence[str | Path], fields: Fields | None = None, *, prefer_images: bool = False
    ) -> None:
        """Find the files.

        Args:
            paths: files and folders.
            fields: names of the fields of a document.
            prefer_images: whether a folder that holds images stands for them, whatever else it holds.

        Raises:
            DataError: a path does not exist, or holds no readable file.
            InvalidOptionError: no path is given, or a single one in place of a list.
        """
        if isinstance(paths, str | Path):
            raise InvalidOptionError("corpus", f"corpus {str(paths)!r}: give a list of paths, such as [{str(paths)!r}]")
        if not paths:
            raise InvalidOptionError("corpus", "no corpus given: name at least one file or folder")
        self.fields = fields or Fields()
        found = [item for path in paths for item in _files(Path(path), prefer_images)]
        self.files = list(dict.fromkeys(found))

    def estimated_rows(self) -> int:
        """Estimate the number of rows for a progress display; see :func:`models.data.rows.estimate_rows`."""
        return sum(estimate_rows(path) if is_row_file(path) else 1 for path, _ in self.files)

    def fingerprint(self) -> list[dict[str, Any]]:
        """Return name, size and modification time of each file; a build resumes only over an unchanged corpus."""
        entries = []
        for path, _ in self.files:
            stat = path.stat()
            entries.append({"file": str(path.resolve()), "size": stat.st_size, "changed_ns": stat.st_mtime_ns})
        return entries

    def rows(self, start: Place | None = None) -> Iterator[CorpusRow]:
        """Stream the rows from ``start``, or from the first one."""
        start = start or Place()
        for number, (path, root) in enumerate(self.files[start.file :], start=start.file):
            skip = start.row if number == start.file else 0
            if is_row_file(path):
                for done, row in enumerate(read_rows(path, skip=skip), start=skip + 1):
                    yield self._row(path, row.number, Place(number, done), row)
            elif skip == 0:
                if is_image_file(path):
                    yield _image_row(path, root, Place(number, 1))
                else:
                    yield _text_row(path, root, Place(number, 1), self.fields)

    def _row(self, path: Path, line: int, place: Place, row: Any) -> CorpusRow:
        if isinstance(row, BrokenRow):
            return CorpusRow(str(path), line, place, None, row.reason)
        try:
            return CorpusRow(str(path), line, place, parse_document(row.fields, self.fields))
        except RejectedRowError as error:
            return CorpusRow(str(path), line, place, None, str(error))


class _InvalidDocumentError(RejectedRowError, ValueError):
    """A rejected row, for callers who still catch the ValueError of version 0.1 too."""


def parse_document(row: dict[str, Any], fields: Fields | None = None) -> Document:
    """Turn a row into a document.

    Args:
        row: values by field name.
        fields: names of the fields of a document.

    Raises:
        RejectedRowError: the row is not a document; the message is the reason. The error is also a ValueError, as in
            version 0.1.
    """
    fields = fields or Fields()
    names = (fields.id,) if fields.id else _DEFAULT_ID_FIELDS
    id_field = next((name for name in names if name in row), None)
    if id_field is None:
        raise _InvalidDocumentError(f"no field {' or '.join(map(repr, names))}; the row has {sorted(map(str, row))}")
    identifier = row[id_field]
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        raise _InvalidDocumentError(f"id {identifier!r} in field {id_field!r} is not a text or an integer")
    vector = _vector(row)
    texts = [_checked_text(row, name) for name in (fields.title, fields.text)]
    if not any(texts) and vector is None:
        raise _InvalidDocumentError(f"missing text: fields {fields.text!r} and {fields.title!r} are absent or empty")
    payload = {
        _name(name): _json_value(name, value) for name, value in row.items() if name not in (id_field, VECTOR_FIELD)
    }
    identifier = str(identifier)
    _check_unicode(id_field, identifier)
    return Document(identifier, texts[1], payload, title=texts[0], vector=vector, fields=fields)


def _files(path: Path, prefer_images: bool) -> list[tuple[Path, Path]]:
    """Return pairs of a file and the folder that its name is relative to."""
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


def _text_row(path: Path, root: Path, place: Place, fields: Fields) -> CorpusRow:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return CorpusRow(str(path), 1, place, None, f"not UTF-8: {error.reason} at byte {error.start}")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not text.strip():
        return CorpusRow(str(path), 1, place, None, "missing text: the file is empty")
    name = path.relative_to(root).as_posix()
    return CorpusRow(str(path), 1, place, Document(name, text.strip(), {fields.text: text}, fields=fields))


def _image_row(path: Path, root: Path, place: Place) -> CorpusRow:
    """Read only the header of an image. It is decoded when it is encoded, and may still be rejected then."""
    try:
        width, height = image_size(path)
        name, address = path.relative_to(root).as_posix(), str(path.resolve())
        _check_unicode("path", address)
    except ImageError as error:
        return CorpusRow(str(path), 1, place, None, error.reason)
    except RejectedRowError as error:
        return CorpusRow(repr(str(path)), 1, place, None, str(error))
    payload = {"path": address, "width": width, "height": height}
    return CorpusRow(str(path), 1, place, Document(name, "", payload, image=path))


def _vector(row: dict[str, Any]) -> Vectors | None:
    if row.get(VECTOR_FIELD) is None:
        return None
    try:
        return read_vector(row[VECTOR_FIELD], VECTOR_FIELD)
    except ValueError as error:
        raise _InvalidDocumentError(str(error)) from None


def _checked_text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _InvalidDocumentError(f"field {name!r} is not text but {value!r:.80}")
    _check_unicode(name, value)
    return value.strip()


def _check_unicode(name: str, value: str) -> None:
    if problem := unicode_problem(value):
        raise _InvalidDocumentError(f"field {name!r} is not valid Unicode: {problem}")


def _name(key: Any) -> str:
    name = str(key)
    _check_unicode(name, name)
    return name


def _json_value(name: str, value: Any, depth: int = 0) -> Any:
    """Return a value as JSON can hold it, or reject it."""
    if depth > _DEEPEST:
        raise _InvalidDocumentError(f"field {name!r} is nested more than {_DEEPEST} deep")
    match value:
        case None | bool() | int():
            return value
        case str():
            _check_unicode(name, value)
            return value
        case float():
            if not math.isfinite(value):
                raise _InvalidDocumentError(f"field {name!r} is {value}, which JSON cannot hold")
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
            raise _InvalidDocumentError(f"field {name!r} holds a {type(value).__name__}, which JSON cannot hold")
