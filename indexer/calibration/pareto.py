"""The Pareto front of plans by recall and latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

_STEP = 0.9
"""Factor by which the required ratio of misses shrinks in each round of pruning."""


class Timed(Protocol):
    """Something with a latency."""

    @property
    def milliseconds(self) -> float:
        """Latency."""


_T = TypeVar("_T", bound=Timed)


def pareto_front(timed: Sequence[_T], recall: Callable[[_T], float]) -> list[_T]:
    """Return the items that no other item beats in both recall and latency, the fastest first."""
    best: list[_T] = []
    for item in sorted(timed, key=lambda item: (item.milliseconds, -recall(item))):
        if not best or recall(item) > recall(best[-1]):
            best.append(item)
    return best


def prune_front(front: Sequence[_T], recall: Callable[[_T], float], most: int) -> list[_T]:
    """Reduce a Pareto front to at most ``most`` items, at least 2.

    An item is dropped if its miss rate is barely lower than a faster item's; the item with the highest recall is kept.
    """
    step, kept = 1.0, list(front)
    while len(kept) > most:
        step *= _STEP
        kept = [front[-1]]
        for item in reversed(front[:-1]):
            if step * (1 - recall(item)) >= 1 - recall(kept[-1]):
                kept.append(item)
        kept.reverse()
    return kept
