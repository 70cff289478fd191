"""Options of classifier training that texts and images share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from models.bounds import check_at_least, check_positive
from models.errors import InvalidOptionError
from models.nesting import Nesting

_SIZES = "nesting", "width"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierOptions:
    """Options shared by texts and images; subclasses add options, defaults and the allowed kinds.

    Attributes:
        kind: ``mrl`` (a head per size), ``mrl-e`` (a tied head) or ``ff`` (a single size, the baseline).
        nesting: sizes and weights.
        epochs: maximum number of passes over the training items.
        batch_size: items per step.
        learning_rate: peak rate, reached by linear warm-up over a tenth of the steps, then decayed linearly to zero.
        patience: epochs without a better validation accuracy before early stopping.
        max_seconds: time limit, checked after each epoch; None for no limit.
        seed: seed of weights and order.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    kind: str = "mrl"
    nesting: Nesting | None = None
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float | None = None
    patience: int = 3
    max_seconds: float | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.nesting is not None:
            self.check_sizes(self.nesting)
        check_at_least(self, epochs=1, batch_size=2, patience=1, seed=0)
        check_positive(self, ("learning_rate", "max_seconds"))

    def check_sizes(self, nesting: Nesting) -> None:
        """Check that kind ``ff`` has a single size.

        Raises:
            InvalidOptionError: the kind is ``ff`` and there are several sizes.
        """
        if self.kind == "ff" and len(nesting.sizes) > 1:
            raise InvalidOptionError("sizes", f"sizes {list(nesting.sizes)}: kind 'ff' has a single size")

    def record(self) -> dict[str, Any]:
        """Return the options that records and cards list: plain values, without the sizes, which they list apart."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _SIZES}
