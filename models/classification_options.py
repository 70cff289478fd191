"""What decides the training of a classifier besides its texts and its base model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.errors import InvalidOptionError
from models.nesting import Nesting

KINDS = ("mrl", "mrl-e", "ff", "slimmable")


@dataclass(frozen=True, slots=True)
class ClassificationOptions:
    """Everything that decides a run besides the texts and the base model.

    Attributes:
        kind: ``mrl`` (a head a size), ``mrl-e`` (one tied head), ``ff`` (one size alone) or ``slimmable``.
        nesting: sizes and weights; halving from D where None. The base's table is cut or widened to the last size.
        width: D where ``nesting`` is None; the base's own where both are.
        epochs: passes over the training texts, at most.
        batch_size: texts a step.
        learning_rate: the table's peak; the heads have a tenth of it. Linear warm-up over a tenth, then linear to zero.
        token_dropout: share of a text's different tokens that a step does not see.
        label_smoothing: share of the target that goes to all labels alike.
        patience: epochs without a better validation accuracy before the run stops.
        max_seconds: stop after the epoch in which this long has passed, if given.
        seed: of new columns, heads, order and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    kind: str = "mrl"
    nesting: Nesting | None = None
    width: int | None = None
    epochs: int = 3
    batch_size: int = 256
    learning_rate: float = 0.2
    token_dropout: float = 0.1
    label_smoothing: float = 0.1
    patience: int = 3
    max_seconds: float | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidOptionError("kind", f"kind {self.kind!r}: known are {', '.join(KINDS)}")
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least {least}")
        for name in ("learning_rate", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidOptionError(name, f"{name} {value}: give a positive number")
        for name in ("token_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give one from 0 up to below 1")
        if self.width is not None and self.nesting is not None and self.nesting.dimension != self.width:
            raise InvalidOptionError(
                "width", f"width {self.width}: the nested sizes {list(self.nesting.sizes)} must end at it"
            )
