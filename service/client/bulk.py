"""Many documents as JSON lines: cut into requests of a bounded size, and their reports made one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from service.client.answers import BulkAnswer, LineReport
from service.client.calls import json_text

MOST_ROWS: Final = 1000
MOST_BYTES: Final = 4 << 20
"""A quarter of what the service takes by default; a longer row goes alone."""


class Bulk:
    """Gathers rows until they make a request, and reports what became of them.

    Attributes:
        report: of what was answered so far; its lines count from the first row of all.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._lines_before = 0
        self._added = self._replaced = self._rejected = 0
        self._lines: list[LineReport] = []

    def add(self, row: Mapping[str, Any]) -> bytes | None:
        """Take a row; return the lines of the next request where it is full."""
        line = json_text(row).encode() + b"\n"
        full = self._waiting and (len(self._waiting) >= MOST_ROWS or self._bytes + len(line) > MOST_BYTES)
        lines = self.rest() if full else None
        self._waiting.append(line)
        self._bytes += len(line)
        return lines

    def rest(self) -> bytes | None:
        """Return the lines that wait; None where there are none."""
        lines, self._waiting, self._bytes = b"".join(self._waiting), [], 0
        return lines or None

    def answered(self, sent: bytes, answer: BulkAnswer) -> None:
        """Take the report of a request."""
        self._added += answer.added
        self._replaced += answer.replaced
        self._rejected += answer.rejected
        self._lines += [replace(line, line=self._lines_before + line.line) for line in answer.lines]
        self._lines_before += sent.count(b"\n")

    def interrupted(self, error: Exception) -> None:
        """Note on an error how far it went."""
        error.add_note(
            f"the first {self._lines_before} rows were answered ({self._added} added, {self._replaced} replaced, "
            f"{self._rejected} rejected); sending all of them again is safe"
        )

    @property
    def report(self) -> BulkAnswer:
        """See the class."""
        return BulkAnswer(self._added, self._replaced, self._rejected, tuple(self._lines))
