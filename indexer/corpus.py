"""A corpus: files of rows, or a folder of texts, read as documents, with a place to take up again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.errors import DataError, InvalidOptionError
from models.rows import ROW_SUFFIXES, BrokenRow, estimate_rows, is_row_file, read_rows

TEXT_SUFFIXES = (".txt", ".md", ".rst")
_DEFAULT_ID_FIELDS = ("_id", "id")


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it goes into an index.

    Attributes:
        id: unique in the corpus.
        text: what is encoded: title and text joined by a space.
        payload: every field but the id, JSON values.
    """

    id: str
    text: str
    payload: dict[str, Any]


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
        text, title: BEIR's names by default. A row needs text or a title.
    """

    id: str | None = None
    text: str = "text"
    title: str = "title"


class Corpus:
    """The files of a corpus in a fixed order.

    A folder stands for the row files (JSON Lines, CSV, Parquet) below it; where it holds ``corpus.jsonl`` (a BEIR
    folder, with queries and judgements beside) for that one alone; where it holds no row file for its text files.
    """

    def __init__(self, paths: Sequence[Path], fields: Fields | None = None) -> None:
        """Find the files.

        Raises:
            DataError: a path does not exist, or holds nothing that can be read.
            InvalidOptionError: no path given.
        """
        if not paths:
            raise InvalidOptionError("corpus", "no corpus given: name at least one file or folder")
        self.fields = fields or Fields()
        found = [item for path in paths for item in _files(path)]
        self.files = list(dict.fromkeys(found))

    def estimated_rows(self) -> int:
        """Estimate the number of rows, for a progress display; see :func:`models.rows.estimate_rows`."""
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
                for done, row in enumerate(read_rows(path, skip), start=skip + 1):
                    yield self._row(path, row.number, Place(number, done), row)
            elif skip == 0:
                yield _text_row(path, root, Place(number, 1))

    def _row(self, path: Path, line: int, place: Place, row: Any) -> CorpusRow:
        if isinstance(row, BrokenRow):
            return CorpusRow(str(path), line, place, None, row.reason)
        try:
            return CorpusRow(str(path), line, place, self._document(row.fields))
        except ValueError as error:
            return CorpusRow(str(path), line, place, None, str(error))

    def _document(self, fields: dict[str, Any]) -> Document:
        names = (self.fields.id,) if self.fields.id else _DEFAULT_ID_FIELDS
        id_field = next((name for name in names if name in fields), None)
        if id_field is None:
            raise ValueError(f"no field {' or '.join(map(repr, names))}; the row has {sorted(map(str, fields))}")
        identifier = fields[id_field]
        if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
            raise ValueError(f"id {identifier!r} in field {id_field!r} is not a text or a whole number")
        texts = [_checked_text(fields, name) for name in (self.fields.title, self.fields.text)]
        text = " ".join(part for part in texts if part)
        if not text:
            raise ValueError(f"missing text: fields {self.fields.text!r} and {self.fields.title!r} are absent or empty")
        payload = {name: _json_value(name, value) for name, value in fields.items() if name != id_field}
        identifier = str(identifier)
        _check_unicode(id_field, identifier)
        return Document(identifier, text, payload)


def _files(path: Path) -> list[tuple[Path, Path]]:
    """Return (file, the folder its name is told from)."""
    if path.is_file():
        if is_row_file(path) or path.suffix.lower() in TEXT_SUFFIXES:
            return [(path, path.parent)]
        raise DataError(f"corpus file {path}: unknown kind; known are {', '.join(ROW_SUFFIXES + TEXT_SUFFIXES)}")
    if not path.is_dir():
        raise DataError(f"corpus {path}: no such file or folder")
    for suffix in ("", ".gz", ".zst"):
        beir = path / f"corpus.jsonl{suffix}"
        if beir.is_file():
            return [(beir, path)]
    everything = sorted(item for item in path.rglob("*") if item.is_file())
    rows = [item for item in everything if is_row_file(item)]
    texts = [item for item in everything if item.suffix.lower() in TEXT_SUFFIXES]
    if not rows and not texts:
        raise DataError(
            f"corpus folder {path} holds no file of a known kind: {', '.join(ROW_SUFFIXES + TEXT_SUFFIXES)}"
        )
    return [(item, path) for item in rows or texts]


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


def _checked_text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is not text but {value!r:.80}")
    _check_unicode(name, value)
    return value.strip()


def _check_unicode(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"field {name!r} is not valid Unicode: {error.reason} at character {error.start}") from None


def _json_value(name: str, value: Any) -> Any:
    """Turn a value into one that JSON holds, or say why it cannot be."""
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
            return [_json_value(name, item) for item in value]
        case dict():
            return {str(key): _json_value(name, item) for key, item in value.items()}
        case _:
            raise ValueError(f"field {name!r} holds a {type(value).__name__}, which JSON cannot hold")
