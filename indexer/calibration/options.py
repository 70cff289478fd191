"""Options of calibration."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import InvalidOptionError

_BASE_SECONDS = 0.5
_VALUES_PER_SECOND = 2e6
_MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationOptions:
    """How to calibrate.

    At most 30 seconds, for the lengths of answers that a service is asked for::

        calibrate_index("my-index", queries, CalibrationOptions(k=(10, 50), seconds=30))

    Attributes:
        k: answer lengths to calibrate plans for; those above half the index are skipped.
        seconds: time budget; if None, from half a second up to a minute, growing with the size of the vectors.
        confidence: probability that the plan chosen by its lower bound has at least that recall.
        seed: of the choice of queries.

    Raises:
        InvalidOptionError: a value is out of range.
    """

    k: tuple[int, ...] = (10, 100)
    seconds: float | None = None
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.k or min(self.k) < 1:
            raise InvalidOptionError("k", f"k {', '.join(map(str, self.k)) or 'none'}: give numbers of at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise InvalidOptionError("seconds", f"seconds {self.seconds}: give more than 0")
        if not 0.5 <= self.confidence < 1:
            raise InvalidOptionError("confidence", f"confidence {self.confidence}: give at least 0.5 and less than 1")

    def time_for(self, rows: int, dimension: int) -> float:
        """Return the time budget in seconds for an index of N rows and D dimensions."""
        if self.seconds is not None:
            return self.seconds
        return min(_MOST_SECONDS, _BASE_SECONDS + rows * dimension / _VALUES_PER_SECOND)
