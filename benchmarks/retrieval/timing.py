"""One structure's searches, measured in a process of its own."""

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
    """Load a built structure and climb its ladder of knobs.

    Returns:
        ``memory``: bytes of the process's own that loading and searching took (``anonymous``), bytes of files that
        are memory-mapped (``mapped``) and how many of those were in memory afterwards (``mapped_resident``);
        ``points``: one for each knob.
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
        # A mapping of its own, dropped at once: rows read to count the recall are none that the search has read.
        points[-1]["recall"] = recall(data.vectors(rows), queries, points[-1].pop("found"), truth)
        if points[-1]["recall"] >= _ALL_FOUND:
            break
    # Read once more after the searches: what they allocate for each thread is part of what serving takes.
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
    """Search for one query a call; a slow structure is given fewer of them."""
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
    """Queries a second where all are given at once."""
    search(queries[:_WARM_UP])
    seconds = []
    deadline = time.perf_counter() + _SECONDS_A_KNOB / 5
    while len(seconds) < 3 and time.perf_counter() < deadline:
        start = time.perf_counter()
        search(queries)
        seconds.append(time.perf_counter() - start)
    return len(queries) / float(np.median(seconds))
