"""Drawing how far the steps of a build are."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import TaskID

from service.commands.output import ProgressDisplay


class BuildProgress(ProgressDisplay):
    """Draws what building, calibrating and changing an index report."""

    def __init__(self, estimated_rows: int) -> None:
        super().__init__()
        self._estimated = estimated_rows
        self._task: TaskID | None = None
        self._step = ""
        self._first = 0
        self._started = time.monotonic()

    def report(self, event: str, facts: dict[str, Any]) -> None:
        """Take an event."""
        done = facts.get("rows", 0) + facts.get("rejected", 0)
        if event != self._step:
            self._finish_step()
            self._step, self._started = event, time.monotonic()
            self._first = done  # more than 0 where an interrupted build goes on; they say nothing about the rate
            total = facts.get("total", self._estimated if event == "encode" else 1)
            self._task = self._bar.add_task(event, total=total, completed=self._first, facts="")
        assert self._task is not None
        if done > self._first:
            rate = (done - self._first) / max(1e-9, time.monotonic() - self._started)
            broken = f", {facts['rejected']} broken" if facts.get("rejected") else ""
            self._bar.update(self._task, completed=done, facts=f"{rate:,.0f} rows/s{broken}")

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None):
            self._finish_step()
        super().__exit__(*error)

    def _finish_step(self) -> None:
        if self._task is not None:
            # An estimated total gives way to what there was.
            done = self._bar.tasks[-1].completed or 1
            self._bar.update(self._task, completed=done, total=done)
