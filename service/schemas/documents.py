"""``/v1/documents``: requests and responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Result = Literal["added", "replaced", "rejected"]


class DocumentOut(BaseModel):
    """A document as stored in the index."""

    id: str
    payload: dict[str, Any] = Field(description="The document's fields.")


class DocumentChange(BaseModel):
    """What happened to a document."""

    id: str
    result: Literal["added", "replaced", "deleted"]


class LineReport(BaseModel):
    """What happened to a line."""

    line: int = Field(description="Line number, from 1; blank lines count, but are not reported.")
    id: str | None = Field(description="Null if the line has no readable id.")
    result: Result
    reason: str | None = Field(description="Why the line was rejected.")


class BulkAnswer(BaseModel):
    """What happened to all lines."""

    added: int = 0
    replaced: int = 0
    rejected: int = 0
    lines: list[LineReport] = []

    def extend(self, lines: Sequence[LineReport]) -> None:
        """Append reports of further lines, and count them."""
        for line in lines:
            setattr(self, line.result, getattr(self, line.result) + 1)
        self.lines.extend(lines)


class DeleteRequest(BaseModel):
    """Documents to delete; unknown ids are ignored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ids": ["1", "2"]}]})

    ids: list[str] = Field(min_length=1)


class DeleteAnswer(BaseModel):
    """How many documents were deleted."""

    deleted: int
    missing: int = Field(description="Number of distinct ids without a document.")

    @classmethod
    def from_count(cls, ids: Sequence[str], deleted: int) -> Self:
        """Build the response from the requested ids and the number of deleted documents."""
        return cls(deleted=deleted, missing=len(set(ids)) - deleted)
