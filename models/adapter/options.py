"""What decides an adapter besides the vectors it is learned from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.errors import InvalidOptionError
from models.nesting import Nesting

_SMALLEST = 16


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    """Everything that decides an adapter besides the vectors.

    Attributes:
        sizes: prefix sizes to learn for, increasing; D is added where it is missing. Powers of two from 16 up to
            under D where None.
        steps: batches, at most.
        max_seconds: learning ends after this many; the best map so far is kept.
        batch_size: queries a step.
        neighbours: nearest documents of each query; those of all queries of a batch are ranked for each of them.
        temperature: what cosines are divided by.
        learning_rate: the peak; linear warm-up, then linear to zero.
        validation: share of documents, and of queries, held out.
        evaluate_every: steps between validations.
        seed: of the split and the order.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    sizes: tuple[int, ...] | None = None
    steps: int = 500
    max_seconds: float = 300.0
    batch_size: int = 128
    neighbours: int = 32
    temperature: float = 0.1
    learning_rate: float = 1e-3
    validation: float = 0.2
    evaluate_every: int = 50
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 2), ("neighbours", 1), ("evaluate_every", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least {least}")
        for name in ("max_seconds", "temperature", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give a positive number")
        if not 0.05 <= self.validation <= 0.5:
            raise InvalidOptionError("validation", f"validation share {self.validation}: give one from 0.05 to 0.5")

    def nesting(self, dimension: int) -> Nesting:
        """The sizes to learn for, and D after them.

        Raises:
            InvalidOptionError: sizes that do not increase, reach beyond D, or none below it.
        """
        if self.sizes is None:
            powers = tuple(2**power for power in range(dimension.bit_length()) if _SMALLEST <= 2**power < dimension)
            return Nesting((*powers, dimension)) if powers else Nesting.halving(dimension)
        below = self.sizes[:-1] if self.sizes[-1:] == (dimension,) else self.sizes
        if not below or max(below) >= dimension:
            raise InvalidOptionError(
                "sizes", f"sizes {list(self.sizes)}: give sizes below the {dimension} dimensions of the vectors"
            )
        return Nesting((*below, dimension))
