"""What decides the training of a classifier besides its texts and its base model."""

from __future__ import annotations

from dataclasses import dataclass

from models.classifier.options import ClassifierOptions
from models.errors import InvalidOptionError

KINDS = ("mrl", "mrl-e", "ff", "slimmable")


@dataclass(frozen=True, slots=True)
class ClassificationOptions(ClassifierOptions):
    """Everything that decides a run besides the texts and the base model; see :class:`ClassifierOptions`.

    Attributes:
        kind: one of those, or ``slimmable``.
        nesting: halving from D where None. The base's table is cut or widened to the last size.
        learning_rate: of the table; the heads have a tenth of it.
        seed: of new columns, heads, order and dropout.
        width: D where ``nesting`` is None; the base's own where both are.
        token_dropout: share of a text's different tokens that a step does not see.
        label_smoothing: share of the target that goes to all labels alike.
    """

    epochs: int = 3
    batch_size: int = 256
    learning_rate: float = 0.2
    width: int | None = None
    token_dropout: float = 0.1
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidOptionError("kind", f"kind {self.kind!r}: known are {', '.join(KINDS)}")
        ClassifierOptions.__post_init__(self)  # super() does not know a class that slots made anew
        for name in ("token_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give one from 0 up to below 1")
        if self.width is not None and self.nesting is not None and self.nesting.dimension != self.width:
            raise InvalidOptionError(
                "width", f"width {self.width}: the nested sizes {list(self.nesting.sizes)} must end at it"
            )
