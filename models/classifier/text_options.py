"""Options of training a classifier of texts."""

from __future__ import annotations

from dataclasses import dataclass

from models.bounds import check_width
from models.classifier.options import ClassifierOptions
from models.errors import InvalidOptionError

KINDS = ("mrl", "mrl-e", "ff", "slimmable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationOptions(ClassifierOptions):
    """Options of training on texts; see :class:`ClassifierOptions` for those shared with images.

    >>> ClassificationOptions(kind="mrl-e", nesting=Nesting((32, 64, 128)))

    Attributes:
        kind: also ``slimmable``.
        nesting: if None, ``width`` halved repeatedly. The base's table is truncated or widened to the last size.
        learning_rate: of the table; the heads use a tenth of it.
        seed: seed of new columns, heads, order and dropout.
        width: the dimension D if ``nesting`` is None; by default the base's own.
        token_dropout: share of a text's distinct tokens dropped in each step.
        label_smoothing: share of the target spread evenly over all labels.
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
        ClassifierOptions.__post_init__(self)  # super() does not work in a class that slots=True recreates
        for name in ("token_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give one from 0 up to below 1")
        check_width(self.width, self.nesting)
