"""Parallelism over queries: a batch is split between threads that run compiled code without the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split(count: int, threads: int, step: Callable[[int, int], None]) -> None:
    """Run ``step(start, stop)`` over ranges that together cover 0 to ``count``.

    A single item, or a single thread, runs on the calling thread, so that a single query never waits for the pool.

    Args:
        count: number of items.
        threads: maximum number of threads.
        step: must release the GIL while it works, and must not start threads of its own.
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
            future.exception()  # wait for all before the caller's arrays are freed
    for future in futures:
        future.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="split")
