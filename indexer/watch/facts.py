"""Estimates of live recall, compared with the recall that the queries' plans promised.

Each process that watches an index keeps one small file, ``INDEX/watch/<generation>-<random name>.json``, and replaces
it atomically. Inspecting the index adds up the files of a generation.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from indexer.interval import mean_interval

logger = logging.getLogger(__name__)

CONFIDENCE: Final = 0.95
FOLDER: Final = "watch"
_MOST_FILES = 32
"""Number of files kept, over all generations and processes; the oldest are deleted."""

Fraction = Annotated[float, Field(ge=0, le=1)]
_Tallies = dict[float | None, Counter[float]]
"""Number of queries with each recall, by promise."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Part):
    """Mean recall over sampled queries, and its confidence interval at :data:`CONFIDENCE`."""

    queries: int
    recall: float
    low: float
    high: float

    @classmethod
    def of(cls, counts: Mapping[float, int]) -> Self:
        """Estimate from the number of queries with each recall, at least one in all."""
        queries = sum(counts.values())
        low, high = mean_interval(counts, CONFIDENCE)
        return cls(queries=queries, recall=sum(r * n for r, n in counts.items()) / queries, low=low, high=high)


class Level(_Part):
    """The queries whose plans promised the same recall.

    Attributes:
        promised: the calibrated lower bound; None for plans that were not calibrated.
        overall: number of queries with each recall.
        recent: the same over the newest queries.
    """

    promised: float | None
    overall: dict[Fraction, PositiveInt] = Field(min_length=1)
    recent: dict[Fraction, PositiveInt] = Field(min_length=1)


class Watched(_Part):
    """The counts of one process, as in its file.

    Attributes:
        since, until: start of the watch, and its last count.
        sampled: number of queries sampled.
        dropped: number of those that were not repeated, because too many were waiting or the repetition failed.
    """

    format_version: Literal[1] = 1
    generation: str
    since: datetime
    until: datetime
    sampled: int = 0
    dropped: int = 0
    levels: list[Level] = []


class LevelFacts(_Part):
    """Live recall of the queries whose plans promised the same recall.

    Attributes:
        promised: as in :class:`Level`.
        recent: estimate over the newest queries, which decides the alarm.
        overall: estimate over all queries.
        alarm: whether live recall is below the promise: the whole interval of ``recent`` is.
        message: the same in words.
    """

    promised: float | None
    recent: Estimate
    overall: Estimate
    alarm: bool
    message: str

    @classmethod
    def of(cls, promised: float | None, recent: Mapping[float, int], overall: Mapping[float, int]) -> Self:
        """Compare the promise with the number of queries with each recall."""
        newest = Estimate.of(recent)
        alarm = promised is not None and newest.high < promised
        plans = "plans without calibration" if promised is None else f"promised {promised:.3f}"
        message = (
            f"{plans}, live {newest.recall:.3f} [{newest.low:.3f}, {newest.high:.3f}] over {newest.queries} queries"
        )
        if alarm:
            message += ": below the promise; queries or documents have changed since the calibration, repeat it"
        return cls(promised=promised, recent=newest, overall=Estimate.of(overall), alarm=alarm, message=message)


class WatchFacts(_Part):
    """Estimates of live recall, by promise.

    Attributes:
        generation: the generation searched.
        since, until, sampled, dropped: as in :class:`Watched`.
        confidence: confidence of every interval.
        alarm: whether live recall is below any promise.
        levels: one item per promise, the highest first, and plans without a promise last.
    """

    generation: str
    since: datetime
    until: datetime
    sampled: int
    dropped: int
    confidence: float = CONFIDENCE
    alarm: bool
    levels: list[LevelFacts]

    @classmethod
    def of(cls, watched: Sequence[Watched]) -> Self:
        """Add up the counts of one or more processes for the same generation.

        Processes that stopped before the newest one started count for the overall estimate only.
        """
        newest = max(watched, key=lambda process: process.until)
        recent: _Tallies = {}
        overall: _Tallies = {}
        for process in watched:
            for level in process.levels:
                overall.setdefault(level.promised, Counter()).update(level.overall)
                # The newest process always counts; its clock may have been set back.
                if process is newest or process.until >= newest.since:
                    recent.setdefault(level.promised, Counter()).update(level.recent)
        promises = sorted(recent, key=lambda promised: -1.0 if promised is None else promised, reverse=True)
        levels = [LevelFacts.of(promised, recent[promised], overall[promised]) for promised in promises]
        return cls(
            generation=newest.generation,
            since=min(process.since for process in watched),
            until=newest.until,
            sampled=sum(process.sampled for process in watched),
            dropped=sum(process.dropped for process in watched),
            alarm=any(level.alarm for level in levels),
            levels=levels,
        )


def watch_facts(root: str | Path, generation: str) -> WatchFacts | None:
    """Add up the files of all processes that watch or watched a generation; None if there are none.

    A file that cannot be read is skipped with a warning.
    """
    watched = []
    for path in sorted((Path(root) / FOLDER).glob(f"{generation}-*.json")):
        try:
            watched.append(Watched.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            logger.warning("cannot read %s: %s", path, error)
    return WatchFacts.of(watched) if watched else None


def write_watched(watched: Watched, root: Path, name: str) -> None:
    """Replace a process's file atomically, and delete the oldest files if there are too many.

    Raises:
        OSError: the folder is not writable.
    """
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    partial = folder / f"{watched.generation}-{name}.partial"
    partial.write_text(watched.model_dump_json() + "\n", encoding="utf-8")
    partial.replace(partial.with_suffix(".json"))
    for old in sorted(folder.iterdir(), key=_modified)[:-_MOST_FILES]:
        old.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has just deleted it
        return 0.0
