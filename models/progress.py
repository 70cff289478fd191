"""Progress events of long operations: what training, distillation and evaluation report while they run.

A long operation takes a ``report`` callback and calls it with one event after another. Match on the event's type::

    def report(event: Event) -> None:
        match event:
            case Step(step=step, loss=loss):
                print(f"step {step}: loss {loss:.3f}")
            case Evaluated(metric=metric, scores=scores):
                print(metric, scores)

    train(pairs, "wordllama", "model", TrainingOptions(), report=report)

Ignore events of types you do not know: later versions may add some. An exception raised by the callback ends the
operation. Events of building an index are in ``indexer.progress``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of every progress event."""


Report = Callable[[Event], None]
"""Receives the events of an operation, in order, on the thread that runs it."""


def silent(event: Event) -> None:
    """Ignore an event: the default of every ``report`` argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Event):
    """A stage with countable items; reported at its start and after each batch of them.

    Attributes:
        done: items processed so far.
        total: items in all, possibly an estimate; None if unknown.
    """

    done: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding(Counted):
    """Texts are being encoded.

    Attributes:
        what: the kind of texts, such as ``words``.
    """

    what: str = "texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationStarted(Event):
    """Texts and pairs have been split and the student's vocabulary is known.

    Attributes:
        texts: training texts.
        pairs: training pairs.
        tokens: rows of the student's table.
    """

    texts: int
    pairs: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted(Event):
    """The training loop starts, or resumes.

    Attributes:
        steps: steps of the whole run.
        done: steps done before, by the run that is resumed.
        training, validation: number of items.
        sizes: prefix sizes trained.
    """

    steps: int
    done: int
    training: int
    validation: int
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Event):
    """An optimizer step is done.

    Attributes:
        step: number of the step, from 1.
        total: steps of the whole run.
        loss: the loss that was minimised.
        losses: the unweighted loss by prefix size; empty if the loss is not reported by size.
    """

    step: int
    total: int
    loss: float
    losses: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(Event):
    """The model was evaluated on the validation items.

    Attributes:
        step: steps done.
        metric: what was measured, such as ``ndcg@10``.
        scores: the metric by prefix size.
        mean: the average that is compared between evaluations.
        losses: mean training loss since the last evaluation, by prefix size; may be empty.
        best: whether the mean is the best so far.
    """

    step: int
    metric: str
    scores: Mapping[int, float]
    mean: float
    losses: Mapping[int, float] = field(default_factory=dict)
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluating(Event):
    """A part of an evaluation starts.

    Attributes:
        what: name of the part.
    """

    what: str
