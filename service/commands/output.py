"""Output of the commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


def console(*, stderr: bool = True) -> Console:
    """Return a new console each time, because tests replace the streams."""
    # Texts and file names are printed as they are: no markup, no emoji codes.
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=not stderr)


def note(text: str) -> None:
    """Print a message on standard error."""
    console().print(text, soft_wrap=True)


def note_skipped(problems: Sequence[tuple[object, str]], items: str) -> None:
    """Print on standard error which items were skipped and why: the first ten (name, reason), and how many more."""
    for name, reason in problems[:10]:
        note(f"skipped {name}: {reason}")
    if len(problems) > 10:
        note(f"skipped {len(problems) - 10} more {items}")


def fail(text: str) -> None:
    """Print an error on standard error."""
    console().print(f"error: {text}", style="red", soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value on standard output as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table on standard output; all columns but the first are right-aligned."""
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    out = console(stderr=False)
    # A wrapped table is unreadable: in a pipe or a narrow terminal, let it be wider.
    out.width = max(out.width, 110)
    out.print(table)


class ProgressDisplay:
    """A progress bar with the remaining time, shown while the block runs; subclasses draw the events of a run."""

    def __init__(self) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console(),
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def human_bytes(size: float) -> str:
    """Write a number of bytes with a decimal unit, such as 1.5 GB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
