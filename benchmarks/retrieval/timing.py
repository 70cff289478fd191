"""Measures the searches of a structure, in its own process."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.retrieval.builds import KINDS, folder
from benchmarks.retrieval.config import CORES, DATA_SETS, STRUCTURES, K, Knob
from benchmarks.retrieval.data import Data, recall
from benchmarks.retrieval.peers import Peer, Search
from benchmarks.retrieval.processes import Clock, Memory
from models.nesting import Vectors

_WARM_UP = 100
_LEAST_QUERIES = 30
_SECONDS_A_KNOB = 10.0
_ALL_FOUND = 0.9995


def measure(cache: Path, set_name: str, rows: int, name: str) -> dict[str, Any]:
    """Load a built structure and measure each of its knobs.

    Returns:
        ``memory``: private bytes taken by loading and searching (``anonymous``), bytes of memory-mapped files
        (``mapped``), and how many of those were in memory afterwards (``mapped_resident``); ``points``: an entry for
        each knob.
    """
    data_set, structure = DATA_SETS[set_name], STRUCTURES[name]
    data = Data(data_set, cache)
    vectors, queries, truth = data.vectors(rows), data.queries(), data.truth(rows)
    before, clock = Memory.now(), Clock()
    peer = KINDS[structure.kind].load(folder(cache, data_set, rows, structure), vectors)
    if peer.mapped_bytes():
        data.warm(rows)
    points: list[dict[str, Any]] = []
    for knob in structure.knobs:
        points.append(_point(peer, knob, queries))
        # A separate mapping, dropped at once: rows read to compute recall must not count as read by the search.
        points[-1]["recall"] = recall(data.vectors(rows), queries, points[-1].pop("found"), truth)
        if points[-1]["recall"] >= _ALL_FOUND:
            break
    # Measured again after the searches: their per-thread allocations are part of serving.
    after = Memory.now()
    memory = {
        "anonymous": after.anonymous - before.anonymous,
        "mapped": peer.mapped_bytes(),
        "mapped_resident": after.file - before.file,
    }
    return {"memory": memory, "points": points, **clock.read()}


def _point(peer: Peer, knob: Knob, queries: Vectors) -> dict[str, Any]:
    seconds, found = _one_by_one(peer.searcher(K, 1, **knob), queries)
    return {
        "knob": knob,
        "found": found,
        "queries": len(seconds),
        "median_ms": float(np.median(seconds)) * 1e3,
        "p95_ms": float(np.percentile(seconds, 95)) * 1e3,
        "mean_ms": float(np.mean(seconds)) * 1e3,
        "batch_qps": _batch(peer.searcher(K, CORES, **knob), queries),
    }


def _one_by_one(search: Search, queries: Vectors) -> tuple[list[float], npt.NDArray[Any]]:
    """Search with one query per call; a slow structure gets fewer queries."""
    seconds: list[float] = []
    found = []
    started = time.perf_counter()
    for query in queries[:_WARM_UP]:
        search(query[None])
        if time.perf_counter() - started > _SECONDS_A_KNOB / 10:
            break
    gc.disable()
    deadline = time.perf_counter() + _SECONDS_A_KNOB
    for query in queries:
        one = query[None]
        start = time.perf_counter()
        rows = search(one)
        end = time.perf_counter()
        seconds.append(end - start)
        found.append(rows)
        if end > deadline and len(seconds) >= _LEAST_QUERIES:
            break
    gc.enable()
    return seconds, np.concatenate(found)


def _batch(search: Search, queries: Vectors) -> float:
    """Queries per second of a single batch."""
    search(queries[:_WARM_UP])
    seconds = []
    deadline = time.perf_counter() + _SECONDS_A_KNOB / 5
    while len(seconds) < 3 and time.perf_counter() < deadline:
        start = time.perf_counter()
        search(queries)
        seconds.append(time.perf_counter() - start)
    return len(queries) / float(np.median(seconds))
