"""Options of distillation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.bounds import check_at_least, check_positive
from models.errors import InvalidOptionError
from models.nesting import Nesting
from models.training.options import PRECISIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationOptions:
    """Everything that decides a student besides the texts, the pairs and the teacher.

    >>> DistillationOptions(nesting=Nesting((64, 128, 256)), max_seconds=1800, assistant="wordllama")

    Attributes:
        nesting: sizes and loss weights of the student; the last size is its dimension.
        min_count: minimum number of texts that contain a word for it to become a token.
        teacher_tokens: number of tokens of a text that the teacher reads.
        precision: of the teacher: ``auto`` (bfloat16 on a GPU, float32 elsewhere), ``float32`` or ``bfloat16``.
        max_texts: maximum number of texts the teacher encodes; None for all.
        max_seconds: time limit of the whole run. The teacher gets at most two thirds of it; texts it has not encoded by
            then are not used, and the learning rate reaches zero at the end in any case.
        steps: maximum number of steps.
        batch_size: texts, and pairs, per step.
        learning_rate: the peak; linear warm-up over a tenth of the run, then linear decay to zero.
        assistant: a static table (``wordllama``, or a directory) whose vectors the student learns together with the
            teacher's: a second source of word meaning, in a form that a static student can copy. None for none.
        assistant_weight: length of the assistant's vectors, relative to the teacher's.
        ranking: weight of the ranking loss on the shortest prefixes; 0 for none.
        contrast: weight of the contrastive loss; 0 for none.
        temperature: divisor of cosines in InfoNCE and in the ranking loss.
        validation: share of the pairs held out.
        seed: seed of the split, the order and the new columns.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InvalidOptionError: an option is out of range.
    """

    nesting: Nesting = field(default_factory=lambda: Nesting((32, 64, 128, 256, 512)))
    min_count: int = 5
    teacher_tokens: int = 128
    precision: str = "auto"
    max_texts: int | None = None
    max_seconds: float | None = None
    steps: int = 3000
    batch_size: int = 512
    learning_rate: float = 0.004
    assistant: str | None = None
    assistant_weight: float = 1.0
    ranking: float = 1.0
    contrast: float = 0.3
    temperature: float = 0.05
    validation: float = 0.02
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_at_least(self, min_count=1, teacher_tokens=4, steps=1, batch_size=2, seed=0)
        check_positive(self, ("learning_rate", "temperature", "assistant_weight", "max_seconds", "max_texts"))
        if self.precision not in PRECISIONS:
            raise InvalidOptionError("precision", f"precision {self.precision!r}: give one of {', '.join(PRECISIONS)}")
        for name in ("ranking", "contrast"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give 0 or a positive number")
