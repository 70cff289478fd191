"""Many queries on many cores: the queries of a call are split between threads that run code without the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise


def cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split(count: int, threads: int, step: Callable[[int, int], None]) -> None:
    """Run ``step(start, stop)`` over ranges that together cover 0 to ``count``.

    One item, or one thread, runs on the calling thread: a lone query never waits for a pool.

    Args:
        count: items in all.
        threads: most that run at once.
        step: must release the GIL where it works, and not start threads of its own.
    """
    parts = min(count, threads)
    if parts <= 1:
        if count:
            step(0, count)
        return
    bounds = [count * i // parts for i in range(parts + 1)]
    futures = [_pool().submit(step, start, stop) for start, stop in pairwise(bounds[1:])]
    try:
        step(bounds[0], bounds[1])
    finally:
        for future in futures:
            future.exception()  # all have ended before the caller's arrays go away
    for future in futures:
        future.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="split")
