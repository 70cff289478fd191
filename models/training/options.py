"""What decides a training run besides its pairs and its base model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.errors import InvalidOptionError
from models.nesting import Nesting

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Everything that decides a run besides the pairs and the base model.

    Attributes:
        nesting: sizes and weights; halving from D where None.
        width: dimensions a static table is widened to before it trains; None to keep its own.
        epochs: passes over the training pairs, at most.
        batch_size: pairs a step; each one's document is a negative for all the others.
        learning_rate: the peak; by kind of model where None. Linear warm-up over a tenth, then linear to zero.
        temperature: what cosines are divided by in InfoNCE.
        validation: share of pairs held out.
        evaluate_every: steps between evaluations; once an epoch where None.
        patience: evaluations without a better validation score before the run stops.
        max_seconds: stop after this long, if given.
        chunk: texts encoded at once, for batches that do not fit into memory (gradient caching: the result is the
            same); the whole batch where None.
        precision: ``auto`` (bfloat16 on a GPU, float32 elsewhere), ``float32`` or ``bfloat16`` (autocast; on the
            CPUs measured it gains under a tenth). Loss, weights and optimizer are float32 always.
        compile: run the model through ``torch.compile``: pays for a transformer that trains for long, not for a table.
        seed: of the split, the order and torch.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    nesting: Nesting | None = None
    width: int | None = None
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float | None = None
    temperature: float = 0.05
    validation: float = 0.05
    evaluate_every: int | None = None
    patience: int = 3
    max_seconds: float | None = None
    chunk: int | None = None
    precision: str = "auto"
    compile: bool = False
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least {least}")
        for name in ("learning_rate", "temperature", "max_seconds", "evaluate_every", "chunk"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidOptionError(name, f"{name} {value}: give a positive number")
        if self.precision not in PRECISIONS:
            raise InvalidOptionError("precision", f"precision {self.precision!r}: give one of {', '.join(PRECISIONS)}")
        if self.width is not None and self.nesting is not None and self.nesting.dimension != self.width:
            raise InvalidOptionError(
                "width", f"width {self.width}: the nested sizes {list(self.nesting.sizes)} must end at it"
            )
