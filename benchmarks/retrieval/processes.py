"""Measurement processes: isolation, memory, and the load caused by other processes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def isolated(function: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Call a function in a fresh process, isolating memory, threads and crashes.

    Raises:
        BrokenProcessPool: the process died.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **keywords).result()


class Memory(NamedTuple):
    """Bytes of this process in memory: ``anonymous`` is private, ``file`` can be evicted and read again."""

    anonymous: int
    file: int

    @classmethod
    def now(cls) -> Memory:
        """Read the system's count, after malloc has returned its free memory."""
        ctypes.CDLL(None).malloc_trim(0)
        status = Path("/proc/self/status").read_text()
        return cls(*(1024 * int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) for name in ("RssAnon", "RssFile")))


class Clock:
    """Measures elapsed seconds, and the shares of the machine that this and other processes had."""

    def __init__(self) -> None:
        self._wall, self._own, self._busy, self._all = time.perf_counter(), _own(), *_machine()

    def read(self) -> dict[str, Any]:
        """Return ``seconds``, ``cpu_seconds`` of this process, and ``noisy``: whether other processes had over 5 %
        of the cores; ``others`` is their share.
        """
        busy, total = (now - then for now, then in zip(_machine(), (self._busy, self._all), strict=True))
        own = _own() - self._own
        others = max(0.0, (busy - own) / total) if total else 0.0
        return {
            "seconds": round(time.perf_counter() - self._wall, 2),
            "cpu_seconds": round(own, 2),
            "others": round(others, 3),
            "noisy": others > 0.05,
        }


def _own() -> float:
    times = os.times()
    return times.user + times.system


def _machine() -> tuple[float, float]:
    """Busy seconds and total seconds of all cores since the machine started."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    ticks = [int(part) / os.sysconf("SC_CLK_TCK") for part in first.split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
