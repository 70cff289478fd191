"""What watching has found: the recall of live queries beside the recall that their plans promised.

Each process that watches an index keeps one small file, ``INDEX/watch/<generation>-<its own name>.json``, and replaces
it whole; whoever inspects the index adds up the files of a generation.
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
"""Files kept, of all generations and processes: what ended long ago gives way."""

Fraction = Annotated[float, Field(ge=0, le=1)]
_Tallies = dict[float | None, Counter[float]]
"""How many queries had each recall, by promise."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Part):
    """Mean recall over sampled queries, and the interval that holds it with probability :data:`CONFIDENCE`."""

    queries: int
    recall: float
    low: float
    high: float

    @classmethod
    def of(cls, counts: Mapping[float, int]) -> Self:
        """Estimate from how many queries had each recall; at least one had."""
        queries = sum(counts.values())
        low, high = mean_interval(counts, CONFIDENCE)
        return cls(queries=queries, recall=sum(r * n for r, n in counts.items()) / queries, low=low, high=high)


class Level(_Part):
    """The queries whose plans promised one recall.

    Attributes:
        promised: the lower bound that calibration found; None where the plans were not calibrated.
        overall: how many queries had each recall.
        recent: the same over the newest of them.
    """

    promised: float | None
    overall: dict[Fraction, PositiveInt] = Field(min_length=1)
    recent: dict[Fraction, PositiveInt] = Field(min_length=1)


class Watched(_Part):
    """What one process has counted; its file.

    Attributes:
        since, until: of the watching.
        sampled: queries chosen to be repeated.
        dropped: of those, how many were not, because too many waited or a repetition failed.
    """

    format_version: Literal[1] = 1
    generation: str
    since: datetime
    until: datetime
    sampled: int = 0
    dropped: int = 0
    levels: list[Level] = []


class LevelFacts(_Part):
    """Live recall of the queries whose plans promised one recall.

    Attributes:
        promised: as in :class:`Level`.
        recent: over the newest queries; what the alarm goes by.
        overall: over all.
        alarm: whether live recall is under the promise: the whole interval of ``recent`` is.
        message: the same in words.
    """

    promised: float | None
    recent: Estimate
    overall: Estimate
    alarm: bool
    message: str

    @classmethod
    def of(cls, promised: float | None, recent: Mapping[float, int], overall: Mapping[float, int]) -> Self:
        """Judge from how many queries had each recall."""
        newest = Estimate.of(recent)
        alarm = promised is not None and newest.high < promised
        plans = "plans without calibration" if promised is None else f"promised {promised:.3f}"
        message = (
            f"{plans}, live {newest.recall:.3f} [{newest.low:.3f}, {newest.high:.3f}] over {newest.queries} queries"
        )
        if alarm:
            message += ": under the promise; queries or documents are no longer those of the calibration, repeat it"
        return cls(promised=promised, recent=newest, overall=Estimate.of(overall), alarm=alarm, message=message)


class WatchFacts(_Part):
    """Estimates of live recall, by promise.

    Attributes:
        generation: what was searched.
        since, until, sampled, dropped: as in :class:`Watched`.
        confidence: of every interval.
        alarm: whether any promise is not held.
        levels: one for each promise, the highest first, plans without one last.
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
        """Add up what processes, at least one, have counted of the same generation.

        Processes that stopped before the newest began count overall, but say nothing about recent queries.
        """
        newest = max(watched, key=lambda process: process.until)
        recent: _Tallies = {}
        overall: _Tallies = {}
        for process in watched:
            for level in process.levels:
                overall.setdefault(level.promised, Counter()).update(level.overall)
                # The newest counts whatever its clock says, which may have been set back.
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


def watch_facts(root: Path, generation: str) -> WatchFacts | None:
    """Read what all processes that watch or watched an index have found; None where none has.

    A file that cannot be read is passed over with a warning.
    """
    watched = []
    for path in sorted((root / FOLDER).glob(f"{generation}-*.json")):
        try:
            watched.append(Watched.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            logger.warning("cannot read %s: %s", path, error)
    return WatchFacts.of(watched) if watched else None


def write_watched(watched: Watched, root: Path, name: str) -> None:
    """Replace a process's file, whole or not at all, and delete the oldest where there are too many.

    Raises:
        OSError: the folder cannot be written to.
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
