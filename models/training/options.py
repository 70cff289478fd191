"""Options of contrastive training."""

from __future__ import annotations

from dataclasses import dataclass

from models.bounds import check_at_least, check_positive, check_width
from models.errors import InvalidOptionError
from models.nesting import Nesting

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Everything that decides a training run besides the pairs and the base model.

    >>> TrainingOptions(nesting=Nesting((64, 128, 256)), epochs=3, max_seconds=600)

    Attributes:
        nesting: sizes and loss weights; if None, the full size halved down to 8.
        width: dimension to which a static table is widened before training; None to keep its own.
        epochs: maximum number of passes over the training pairs.
        batch_size: pairs per step; the document of each pair is a negative for all others.
        learning_rate: the peak; if None, 5e-2 for static tables and 2e-5 for transformers. Linear warm-up over a tenth
            of the steps, then linear decay to zero.
        temperature: divisor of cosines in InfoNCE.
        validation: share of the pairs held out.
        evaluate_every: steps between evaluations; if None, once per epoch.
        patience: evaluations without a better validation score after which training stops early.
        max_seconds: time limit, if any.
        chunk: texts encoded at once, for batches that do not fit into memory (gradient caching, with the same result);
            if None, the whole batch.
        precision: ``auto`` (bfloat16 on a GPU, float32 elsewhere), ``float32`` or ``bfloat16`` (autocast; under a tenth
            faster on the CPUs measured). Loss, weights and optimizer state are always float32.
        compile: run the model through ``torch.compile``: worth it for a transformer that trains for long, not for a
            table.
        seed: seed of the split, the order and torch.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InvalidOptionError: an option is out of range.
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
        check_at_least(self, epochs=1, batch_size=2, patience=1, seed=0)
        check_positive(self, ("learning_rate", "temperature", "max_seconds", "evaluate_every", "chunk"))
        if self.precision not in PRECISIONS:
            raise InvalidOptionError("precision", f"precision {self.precision!r}: give one of {', '.join(PRECISIONS)}")
        check_width(self.width, self.nesting)
