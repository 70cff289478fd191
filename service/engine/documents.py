"""Reads documents from requests, and stores batches of JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from indexer import Document, Fields, Index, Put, RejectedRowError, parse_document
from models import InvalidOptionError
from models.data.rows import BrokenRow, Row, parse_json_line
from service.schemas.documents import LineReport


def read_document(index: Index, identifier: str, fields: dict[str, Any]) -> Document:
    """Return the document of a row, which may omit its id.

    Title and text are read from the fields that the index's corpus has them in, or else from ``title`` and ``text``.

    Raises:
        InvalidOptionError: the row is not a document, or has another id.
    """
    if fields.get("_id", identifier) != identifier:
        raise InvalidOptionError("_id", f"the row has _id {fields['_id']!a:.80}, the address {identifier!a:.80}")
    try:
        return _parse_document(index, {**fields, "_id": identifier})
    except RejectedRowError as error:
        raise InvalidOptionError("document", str(error)) from None


def put_lines(index: Index, lines: Sequence[tuple[int, bytes]]) -> list[LineReport]:
    """Store the documents of JSON lines as one batch; reject lines that are not documents.

    Args:
        index: where to store them.
        lines: line numbers and contents.

    Returns:
        A report on every line, in order.
    """
    reports: dict[int, LineReport] = {}
    documents: dict[int, Document] = {}
    for number, line in lines:
        row = parse_json_line(line, number)
        if isinstance(row, BrokenRow):
            reports[number] = LineReport(line=number, id=None, result="rejected", reason=row.reason)
            continue
        try:
            documents[number] = _parse_document(index, row.fields)
        except RejectedRowError as error:
            reports[number] = LineReport(line=number, id=_printable_id(row), result="rejected", reason=str(error))
    for number, put in zip(documents, index.put(list(documents.values())), strict=True):
        reports[number] = _report(number, put)
    return [reports[number] for number, _ in lines]


def _parse_document(index: Index, row: dict[str, Any]) -> Document:
    title, text = index.manifest.corpus.text_fields
    default = Fields()
    fields = Fields(
        title=title if _holds_a_value(row, title) else default.title,
        text=text if _holds_a_value(row, text) else default.text,
    )
    return parse_document(row, fields)


def _holds_a_value(row: dict[str, Any], name: str) -> bool:
    value = row.get(name)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _report(number: int, put: Put) -> LineReport:
    return LineReport(line=number, id=put.id, result=put.result, reason=put.reason or None)


def _printable_id(row: Row) -> str | None:
    """Return the id of a rejected row, so that its sender can identify it."""
    identifier = next((row.fields[name] for name in ("_id", "id") if name in row.fields), None)
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        return None
    return str(identifier).encode("utf-8", "backslashreplace").decode()
