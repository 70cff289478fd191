"""The target of a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.calibration.choose import choose_plan
from indexer.plan import SearchOptions
from indexer.storage.manifest import CalibratedPlan, TargetFacts
from models.errors import InvalidOptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a build should reach; None for what does not matter.

    The fastest structure that has a recall@10 of 0.95 in 500 MB of memory::

        build_index(corpus, encoder, "my-index", BuildOptions(target=Target(recall=0.95, memory=500_000_000)))

    Attributes:
        recall: recall@10 that a plan guarantees with the calibration's confidence.
        milliseconds: single-thread latency of a query, without its encoding.
        memory: bytes held by the structure and the list of duplicate rows. The full vectors are memory-mapped, in
            memory that the system can reclaim, and do not count.

    Raises:
        InvalidOptionError: a value is out of range.
    """

    recall: float | None = None
    milliseconds: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.recall is not None and not 0 < self.recall <= 1:
            raise InvalidOptionError("recall", f"recall {self.recall}: give more than 0 and at most 1")
        for name in ("milliseconds", "memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidOptionError(name, f"{name} {value}: give more than 0")

    @property
    def time_alone(self) -> bool:
        """Whether the goal is the highest recall within the time."""
        return self.recall is None and self.milliseconds is not None


def missed(facts: TargetFacts, plans: Sequence[CalibratedPlan], rows: int, memory: int) -> tuple[str, ...]:
    """Return messages about the parts of a target that an index does not reach.

    Args:
        facts: the target.
        plans: the calibrated plans.
        rows: N.
        memory: bytes held.
    """
    messages = []
    if facts.memory is not None and memory > facts.memory:
        messages.append(f"memory {facts.memory / 1e6:.3g} MB: the smallest structure takes {memory / 1e6:.3g} MB")
    if plans and (facts.recall is not None or facts.milliseconds is not None):
        plan = choose_plan(plans, SearchOptions(recall=facts.recall, milliseconds=facts.milliseconds), rows)
        if plan and plan.promise and not plan.promise.met:
            wanted = [f"recall {facts.recall}"] if facts.recall is not None else []
            wanted += [f"{facts.milliseconds} ms per query"] if facts.milliseconds is not None else []
            messages.append(
                f"{' within '.join(wanted)}: the closest plan has recall {plan.promise.recall_low:.3f} "
                f"within {plan.promise.milliseconds:.3f} ms"
            )
    return tuple(messages)
