"""Options of an adapter."""

from __future__ import annotations

from dataclasses import dataclass

from models.bounds import check_at_least, check_positive
from models.errors import InvalidOptionError
from models.nesting import Nesting

_SMALLEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterOptions:
    """Everything that decides an adapter besides the vectors.

    >>> AdapterOptions(sizes=(64, 128, 256), max_seconds=60)

    Attributes:
        sizes: increasing prefix sizes; D is appended if missing. If None, the powers of two from 16 below D.
        steps: maximum number of steps.
        max_seconds: time limit; the best map so far is kept.
        batch_size: queries per step.
        neighbours: nearest documents per query; those of all queries of a batch are ranked for each of them.
        temperature: divisor of cosines.
        learning_rate: the peak; linear warm-up, then linear decay to zero.
        validation: share of the documents, and of the queries, held out.
        evaluate_every: steps between evaluations.
        seed: seed of the split and the order.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InvalidOptionError: an option is out of range.
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
        check_at_least(self, steps=1, batch_size=2, neighbours=1, evaluate_every=1, seed=0)
        check_positive(self, ("max_seconds", "temperature", "learning_rate"))
        if not 0.05 <= self.validation <= 0.5:
            raise InvalidOptionError("validation", f"validation share {self.validation}: give a share from 0.05 to 0.5")

    def nesting(self, dimension: int) -> Nesting:
        """Return the sizes to learn for, with D as the last.

        Raises:
            InvalidOptionError: the sizes do not increase, exceed D, or none is below it.
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
