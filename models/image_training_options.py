"""What decides the training of an image model besides its images and its base model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.errors import InvalidOptionError
from models.nesting import Nesting

KINDS = ("mrl", "mrl-e", "ff")


@dataclass(frozen=True, slots=True)
class ImageTrainingOptions:
    """Everything that decides a run besides the images and the base model.

    Attributes:
        kind: ``mrl`` (a head a size), ``mrl-e`` (one tied head) or ``ff`` (one size alone, the baseline).
        nesting: sizes and weights; the model's features are mapped to the last size where they have another.
        epochs: passes over the training images, at most.
        batch_size: images a step.
        learning_rate: the peak; 5e-3 for a new model and 1e-4 for a base where None. Linear up over a tenth, then down.
        weight_decay: AdamW's.
        side: width and height in pixels that a new model sees; from the images where None. A base has its own.
        patience: epochs without a better validation accuracy before the run stops.
        max_seconds: stop after the epoch in which this long has passed, if given.
        seed: of weights and order.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    kind: str = "mrl"
    nesting: Nesting = field(default_factory=lambda: Nesting((8, 16, 32, 64, 128)))
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float | None = None
    weight_decay: float = 0.05
    side: int | None = None
    patience: int = 5
    max_seconds: float | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidOptionError("kind", f"kind {self.kind!r}: known for images are {', '.join(KINDS)}")
        if self.kind == "ff" and len(self.nesting.sizes) > 1:
            raise InvalidOptionError("sizes", f"sizes {list(self.nesting.sizes)}: kind 'ff' is a model of one size")
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least {least}")
        for name in ("learning_rate", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidOptionError(name, f"{name} {value}: give a positive number")
        if not 0 <= self.weight_decay < math.inf:
            raise InvalidOptionError("weight_decay", f"weight_decay {self.weight_decay}: give 0 or more")
        if self.side is not None and not 8 <= self.side <= 1024:
            raise InvalidOptionError("side", f"side {self.side}: give 8 to 1024 pixels")
