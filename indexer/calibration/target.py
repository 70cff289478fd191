"""What a build is to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.calibration.choose import choose_plan
from indexer.plan import SearchOptions
from indexer.storage.manifest import CalibratedPlan, TargetFacts
from models.errors import InvalidOptionError


@dataclass(frozen=True, slots=True)
class Target:
    """What a build is to reach; None where it does not matter.

    Attributes:
        recall: recall@10 that a plan holds.
        milliseconds: time of a query on one thread, without encoding it.
        memory: bytes that the structure, and the list of equal rows, hold. The full vectors are mapped from the disk:
            they lie in memory that the system may take back, and do not count.
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
        """Whether as much is to be found as the time allows."""
        return self.recall is None and self.milliseconds is not None


def missed(facts: TargetFacts, plans: Sequence[CalibratedPlan], rows: int, memory: int) -> tuple[str, ...]:
    """Say what of a target an index does not reach.

    Args:
        facts: the target.
        plans: the calibrated plans.
        rows: N.
        memory: bytes held.
    """
    told = []
    if facts.memory is not None and memory > facts.memory:
        told.append(f"memory {facts.memory / 1e6:.3g} MB: the smallest structure there is takes {memory / 1e6:.3g} MB")
    if plans and (facts.recall is not None or facts.milliseconds is not None):
        plan = choose_plan(plans, SearchOptions(recall=facts.recall, milliseconds=facts.milliseconds), rows)
        if plan and plan.promise and not plan.promise.met:
            asked = [f"recall {facts.recall}"] if facts.recall is not None else []
            asked += [f"{facts.milliseconds} ms a query"] if facts.milliseconds is not None else []
            told.append(
                f"{' within '.join(asked)}: the closest plan holds recall {plan.promise.recall_low:.3f} "
                f"within {plan.promise.milliseconds:.3f} ms"
            )
    return tuple(told)
