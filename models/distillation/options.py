"""What decides a distillation besides its texts and its teacher."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.errors import InvalidOptionError
from models.nesting import Nesting
from models.training.options import PRECISIONS


@dataclass(frozen=True, slots=True)
class DistillationOptions:
    """Everything that decides a student besides the texts, the pairs and the teacher.

    Attributes:
        nesting: sizes and weights of the student; the last size is its width.
        min_count: texts a word must occur in to have a row of its own.
        teacher_tokens: the teacher reads this many tokens of a text.
        precision: of the teacher: ``auto`` (bfloat16 on a GPU, float32 elsewhere), ``float32`` or ``bfloat16``.
        max_texts: texts the teacher encodes, at most; all where None.
        max_seconds: bound on the whole run. Two thirds go to the teacher at most; what it has not encoded by then is
            not learned from, and the learning rate falls to zero by the end whatever has been done.
        steps: batches trained, at most.
        batch_size: texts, and as many pairs, a step.
        learning_rate: the peak; linear warm-up over a tenth, then linear to zero.
        assistant: a static table (``wordllama``, or a directory) whose vectors stand beside the teacher's in what the
            student learns: a second source of what words mean, and one that a static student can copy. None leaves
            it out.
        assistant_weight: length of its vectors where the teacher's have length 1.
        ranking: weight of the ranking loss on the shortest prefixes beside regression; 0 leaves it out.
        contrast: weight of the contrastive loss beside the distillation losses; 0 leaves it out.
        temperature: what cosines are divided by in InfoNCE and in the ranking loss.
        validation: share of pairs held out.
        seed: of the split, the order and the new columns.
        device: ``auto``, ``cpu`` or ``cuda``.
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
        for name, least in (("min_count", 1), ("teacher_tokens", 4), ("steps", 1), ("batch_size", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least {least}")
        for name in ("learning_rate", "temperature", "assistant_weight", "max_seconds", "max_texts"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidOptionError(name, f"{name} {value}: give a positive number")
        if self.precision not in PRECISIONS:
            raise InvalidOptionError("precision", f"precision {self.precision!r}: give one of {', '.join(PRECISIONS)}")
        for name in ("ranking", "contrast"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give 0 or a positive number")
