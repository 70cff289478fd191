"""``/v1/documents``: requests and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from indexer import Document, Index
from indexer.corpus import parse_document
from indexer.updates import Put
from models.data.rows import BrokenRow, parse_json_line
from models.errors import InvalidOptionError, RejectedRowError

Result = Literal["added", "replaced", "rejected"]


class DocumentOut(BaseModel):
    """A document as the index holds it."""

    id: str
    payload: dict[str, Any] = Field(description="The document's fields.")


class DocumentChange(BaseModel):
    """What became of one document."""

    id: str
    result: Literal["added", "replaced", "deleted"]


class LineReport(BaseModel):
    """What became of one line."""

    line: int = Field(description="From 1; blank lines count, but are not reported.")
    id: str | None = Field(description="None where the line had none that can be read.")
    result: Result
    reason: str | None = Field(description="Why it was rejected.")


class BulkAnswer(BaseModel):
    """What became of all lines."""

    added: int = 0
    replaced: int = 0
    rejected: int = 0
    lines: list[LineReport] = []

    def take(self, lines: Sequence[LineReport]) -> None:
        """Add the reports of further lines."""
        for line in lines:
            setattr(self, line.result, getattr(self, line.result) + 1)
        self.lines.extend(lines)


class DeleteRequest(BaseModel):
    """Documents to delete; ids that are not there are passed over."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ids": ["1", "2"]}]})

    ids: list[str] = Field(min_length=1)


class DeleteAnswer(BaseModel):
    """How many documents were there, and are not any more."""

    deleted: int
    missing: int = Field(description="Different ids that no document had.")

    @classmethod
    def of(cls, ids: Sequence[str], deleted: int) -> Self:
        """Count."""
        return cls(deleted=deleted, missing=len(set(ids)) - deleted)


def read_document(identifier: str, row: dict[str, Any]) -> Document:
    """Read a document's row, which need not hold its id.

    Raises:
        InvalidOptionError: it is no document, or has another id.
    """
    if row.get("_id", identifier) != identifier:
        raise InvalidOptionError("_id", f"the row has _id {row['_id']!a:.80}, the address {identifier!a:.80}")
    try:
        return parse_document({**row, "_id": identifier})
    except RejectedRowError as error:
        raise InvalidOptionError("document", str(error)) from None


def put_lines(index: Index, lines: Sequence[tuple[int, bytes]]) -> list[LineReport]:
    """Store the documents of JSON lines that are ones, together.

    Args:
        index: where to.
        lines: with their numbers.

    Returns:
        A report of every line, in order.
    """
    reports: dict[int, LineReport] = {}
    documents: dict[int, Document] = {}
    for number, line in lines:
        row = parse_json_line(line, number)
        try:
            if isinstance(row, BrokenRow):
                raise RejectedRowError(row.reason)
            documents[number] = parse_document(row.fields)
        except RejectedRowError as error:
            reports[number] = LineReport(line=number, id=_id_of(row), result="rejected", reason=str(error))
    for number, put in zip(documents, index.put(list(documents.values())), strict=True):
        reports[number] = _report(number, put)
    return [reports[number] for number, _ in lines]


def _report(number: int, put: Put) -> LineReport:
    return LineReport(line=number, id=put.id, result=put.result, reason=put.reason or None)


def _id_of(row: Any) -> str | None:
    """Return the id of a row that is no document, so that its sender can tell which it is."""
    fields = {} if isinstance(row, BrokenRow) else row.fields
    found = next((fields[name] for name in ("_id", "id") if name in fields), None)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found).encode("utf-8", "backslashreplace").decode()
