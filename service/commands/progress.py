"""Progress bars of the long commands."""

from __future__ import annotations

import time

from rich.progress import TaskID

from indexer import EncodingDocuments, IndexStage
from models.progress import Evaluated, Event, Step, TrainingStarted
from service.commands.output import ProgressDisplay, note

_METRICS = {"ndcg@10": "nDCG@10"}


class BuildProgress(ProgressDisplay):
    """A progress bar for each stage of building, calibrating and changing an index."""

    def __init__(self, estimated_rows: int) -> None:
        super().__init__()
        self._estimated = estimated_rows
        self._task: TaskID | None = None
        self._stage: type[IndexStage] | None = None
        self._first = 0
        self._started = time.monotonic()

    def report(self, event: Event) -> None:
        """Draw an event."""
        if not isinstance(event, IndexStage):
            return
        rejected = event.rejected if isinstance(event, EncodingDocuments) else 0
        if type(event) is not self._stage:
            self._finish_stage()
            self._stage, self._started = type(event), time.monotonic()
            self._first = event.done  # above 0 if an interrupted build resumes; those rows do not count for the rate
            total = self._estimated if isinstance(event, EncodingDocuments) else event.total or 1
            self._task = self._bar.add_task(event.label, total=total, completed=event.done, facts="")
        assert self._task is not None
        if event.done > self._first:
            rate = (event.done - self._first) / max(1e-9, time.monotonic() - self._started)
            suffix = f", {rejected} rejected" if rejected else ""
            self._bar.update(self._task, completed=event.done, facts=f"{rate:,.0f} rows/s{suffix}")

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None):
            self._finish_stage()
        super().__exit__(*error)

    def _finish_stage(self) -> None:
        if self._task is not None:
            # Replace an estimated total by the actual one.
            done = self._bar.tasks[-1].completed or 1
            self._bar.update(self._task, completed=done, total=done)


class TrainingProgress(ProgressDisplay):
    """A progress bar of a training run, with a line for each evaluation."""

    def __init__(self, items: str) -> None:
        """Create a display; ``items`` names what the run trains on, such as ``pairs``."""
        super().__init__()
        self._items = items
        self._task: TaskID | None = None

    def report(self, event: Event) -> None:
        """Draw an event."""
        match event:
            case TrainingStarted():
                self._task = self._bar.add_task("training", total=event.steps, completed=event.done, facts="")
                note(
                    f"{event.training} {self._items} to train on, {event.validation} to validate on, "
                    f"sizes {', '.join(map(str, event.sizes))}"
                )
            case Step(step=step, loss=loss) if self._task is not None:
                self._bar.update(self._task, completed=step, facts=f"loss {loss:.2f}")
            case Evaluated(step=step, metric=metric, losses=losses, scores=scores):
                metric = _METRICS.get(metric, metric)
                for name, by_size in (("loss", losses), (metric, scores)):
                    if by_size:
                        values = "  ".join(f"{size}: {value:.3f}" for size, value in by_size.items())
                        note(f"step {step:>6}  {name:>{len(metric)}}  {values}")
