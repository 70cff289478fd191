"""What calibration may be told."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import InvalidOptionError

_FIRST_SECONDS = 0.5
_NUMBERS_A_SECOND = 2e6
_MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """How to calibrate.

    Attributes:
        k: lengths of answers that plans are measured for; those over half the index are left out.
        seconds: how long it may take; where None half a second, growing with the size of the vectors up to a minute.
        confidence: probability with which a plan chosen by its bound holds it.
        seed: decides which queries are drawn.
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
            raise InvalidOptionError("confidence", f"confidence {self.confidence}: give 0.5 or more, and less than 1")

    def time_for(self, rows: int, dimension: int) -> float:
        """Return the seconds for an index of N rows and D dimensions."""
        if self.seconds is not None:
            return self.seconds
        return min(_MOST_SECONDS, _FIRST_SECONDS + rows * dimension / _NUMBERS_A_SECOND)
