"""What decides the training of an image model besides its images and its base model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.classifier.options import ClassifierOptions
from models.errors import InvalidOptionError
from models.nesting import Nesting

KINDS = ("mrl", "mrl-e", "ff")


@dataclass(frozen=True, slots=True)
class ImageTrainingOptions(ClassifierOptions):
    """Everything that decides a run besides the images and the base model; see :class:`ClassifierOptions`.

    Attributes:
        nesting: the model's features are mapped to the last size where they have another.
        learning_rate: 5e-3 for a new model and 1e-4 for a base where None.
        weight_decay: AdamW's.
        side: width and height in pixels that a new model sees; from the images where None. A base has its own.
    """

    nesting: Nesting = field(default_factory=lambda: Nesting((8, 16, 32, 64, 128)))
    patience: int = 5
    weight_decay: float = 0.05
    side: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidOptionError("kind", f"kind {self.kind!r}: known for images are {', '.join(KINDS)}")
        ClassifierOptions.__post_init__(self)  # super() does not know a class that slots made anew
        if not 0 <= self.weight_decay < math.inf:
            raise InvalidOptionError("weight_decay", f"weight_decay {self.weight_decay}: give 0 or more")
        if self.side is not None and not 8 <= self.side <= 1024:
            raise InvalidOptionError("side", f"side {self.side}: give 8 to 1024 pixels")
