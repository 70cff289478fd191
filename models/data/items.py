"""Training items, such as pairs and labelled texts, parsed from the rows of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from models.data.lists import check_list
from models.data.rows import BrokenRow, read_rows
from models.data.unicode import is_unicode
from models.errors import DataError, RejectedRowError

_Item = TypeVar("_Item")

Rejected = list[tuple[str, int, str]]
"""Rows that gave no item: file, line (see :class:`models.data.rows.Row`) and reason."""


def read_items(
    paths: Iterable[str | Path], parse: Callable[[dict[str, Any]], _Item], *, kind: str, options: str
) -> tuple[list[_Item], Rejected]:
    """Parse every row of some files; rows that cannot be read or parsed are skipped and listed.

    Args:
        paths: files that :func:`models.data.rows.read_rows` reads.
        parse: turns a row's fields into an item, or raises :class:`models.errors.RejectedRowError`.
        kind: what an item is, for the message.
        options: command-line options that name the fields, for the message.

    Raises:
        DataError: a file cannot be read, or no row of any file gives an item.
    """
    items: list[_Item] = []
    rejected: Rejected = []
    check_list(paths, "files", "paths")
    for path in paths:
        for row in read_rows(path):
            if isinstance(row, BrokenRow):
                rejected.append((str(path), row.number, row.reason))
                continue
            try:
                items.append(parse(row.fields))
            except RejectedRowError as reason:
                rejected.append((str(path), row.number, str(reason)))
    if not items:
        first = f"; the first problem: {rejected[0][0]} line {rejected[0][1]}: {rejected[0][2]}" if rejected else ""
        raise DataError(f"no {kind} in {len(rejected)} rows{first}. Name the fields by {options}")
    return items, rejected


def text_of(value: Any) -> str:
    """Return a field's text, stripped; empty if it is not text or not valid Unicode."""
    return value.strip() if isinstance(value, str) and is_unicode(value) else ""
