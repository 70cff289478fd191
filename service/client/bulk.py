"""Bulk upserts: rows are packed into requests of bounded size, and the reports of the requests become one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from service.client.answers import BulkAnswer, LineReport
from service.client.calls import json_text
from service.client.errors import ClientError

MOST_ROWS: Final = 1000
MOST_BYTES: Final = 4 << 20
"""Of a request: a quarter of what the service accepts by default. A longer row is sent alone."""


class Bulk:
    """Packs rows into requests and merges the reports.

    Attributes:
        report: outcome of the rows answered so far; line numbers count from the first row of the whole call.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._lines_before = 0
        self._added = self._replaced = self._rejected = 0
        self._lines: list[LineReport] = []

    def add(self, row: Mapping[str, Any]) -> bytes | None:
        """Add a row; return the lines of a request if the rows before it fill one, else None."""
        line = json_text(row).encode() + b"\n"
        full = self._waiting and (len(self._waiting) >= MOST_ROWS or self._bytes + len(line) > MOST_BYTES)
        lines = self.rest() if full else None
        self._waiting.append(line)
        self._bytes += len(line)
        return lines

    def rest(self) -> bytes | None:
        """Return the lines that are not sent yet; None if there are none."""
        lines, self._waiting, self._bytes = b"".join(self._waiting), [], 0
        return lines or None

    def answered(self, sent: bytes, answer: BulkAnswer) -> None:
        """Merge the report of a request."""
        self._added += answer.added
        self._replaced += answer.replaced
        self._rejected += answer.rejected
        self._lines += [replace(line, line=self._lines_before + line.line) for line in answer.lines]
        self._lines_before += sent.count(b"\n")

    @contextmanager
    def noting_progress(self) -> Iterator[None]:
        """Add a note to a :class:`ClientError` of the block that says how many rows were answered."""
        try:
            yield
        except ClientError as error:
            error.add_note(
                f"the first {self._lines_before} rows were answered ({self._added} added, {self._replaced} replaced, "
                f"{self._rejected} rejected); it is safe to send all of them again"
            )
            raise

    @property
    def report(self) -> BulkAnswer:
        """See the class."""
        return BulkAnswer(self._added, self._replaced, self._rejected, tuple(self._lines))
