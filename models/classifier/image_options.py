"""Options of training a classifier of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.classifier.options import ClassifierOptions
from models.errors import InvalidOptionError
from models.nesting import Nesting

KINDS = ("mrl", "mrl-e", "ff")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTrainingOptions(ClassifierOptions):
    """Options of training on images; see :class:`ClassifierOptions` for those shared with texts.

    >>> ImageTrainingOptions(nesting=Nesting((16, 64)), epochs=20, max_seconds=600)

    Attributes:
        nesting: if the base model has another dimension than the last size, a linear map is added.
        learning_rate: if None, 5e-3 for a new model and 1e-4 for a base model.
        weight_decay: of AdamW.
        side: width and height in pixels of a new model's input; if None, chosen from the images. A base model keeps
            its own.
    """

    nesting: Nesting = field(default_factory=lambda: Nesting((8, 16, 32, 64, 128)))
    patience: int = 5
    weight_decay: float = 0.05
    side: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidOptionError("kind", f"kind {self.kind!r}: known for images are {', '.join(KINDS)}")
        ClassifierOptions.__post_init__(self)  # super() does not work in a class that slots=True recreates
        if not 0 <= self.weight_decay < math.inf:
            raise InvalidOptionError("weight_decay", f"weight_decay {self.weight_decay}: give 0 or more")
        if self.side is not None and not 8 <= self.side <= 1024:
            raise InvalidOptionError("side", f"side {self.side}: give 8 to 1024 pixels")
