"""What decides the training of any classifier, whatever its items are."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from models.errors import InvalidOptionError
from models.nesting import Nesting

_SIZES = "nesting", "width"


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """What every kind of items shares; a subclass adds its own, its defaults and the kinds of heads it knows.

    Attributes:
        kind: ``mrl`` (a head a size), ``mrl-e`` (one tied head) or ``ff`` (one size alone, the baseline).
        nesting: sizes and weights.
        epochs: passes over the training items, at most.
        batch_size: items a step.
        learning_rate: the peak. Linear warm-up over a tenth, then linear to zero.
        patience: epochs without a better validation accuracy before the run stops.
        max_seconds: stop after the epoch in which this long has passed, if given.
        seed: of weights and order.
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
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least {least}")
        for name in ("learning_rate", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidOptionError(name, f"{name} {value}: give a positive number")

    def check_sizes(self, nesting: Nesting) -> None:
        """Refuse several sizes where the kind has one.

        Raises:
            InvalidOptionError: kind ``ff`` and more than one size.
        """
        if self.kind == "ff" and len(nesting.sizes) > 1:
            raise InvalidOptionError("sizes", f"sizes {list(nesting.sizes)}: kind 'ff' is a model of one size")

    def told(self) -> dict[str, Any]:
        """Return what a record or card tells as options: plain values, without the sizes, which stand elsewhere."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _SIZES}
