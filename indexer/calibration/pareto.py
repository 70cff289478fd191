"""The plans that no other beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

_STEP = 0.9


class Timed(Protocol):
    """What takes time."""

    @property
    def milliseconds(self) -> float:
        """The lower the better."""


_T = TypeVar("_T", bound=Timed)


def front(timed: Sequence[_T], recall: Callable[[_T], float]) -> list[_T]:
    """Return those of which none other has at least their recall in less time: the fastest first, recall rising."""
    best: list[_T] = []
    for one in sorted(timed, key=lambda one: (one.milliseconds, -recall(one))):
        if not best or recall(one) > recall(best[-1]):
            best.append(one)
    return best


def thinned(of_front: Sequence[_T], recall: Callable[[_T], float], most: int) -> list[_T]:
    """Leave out those of a front that miss hardly less than a faster one, until at most ``most`` (from 2) are left.

    The best one always stays.
    """
    step, kept = 1.0, list(of_front)
    while len(kept) > most:
        step *= _STEP
        kept = [of_front[-1]]
        for one in reversed(of_front[:-1]):
            if step * (1 - recall(one)) >= 1 - recall(kept[-1]):
                kept.append(one)
        kept.reverse()
    return kept
