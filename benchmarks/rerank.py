"""The rerank: recall of each storage format, speed of random row reads, and the rerank's share of a search.

Needs the vectors of ``benchmarks.retrieval``; the share is measured on the index "ours-small", if it was built there.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import save
from benchmarks.retrieval.builds import folder, record
from benchmarks.retrieval.config import DATA_SETS, STRUCTURES, cache_folder
from benchmarks.retrieval.data import Data
from indexer import Index, SearchOptions
from indexer.search.results import StageClock
from indexer.storage.vectors import StoredVectors, encode
from models import truncate

K, CANDIDATES, ROWS, TRIALS = 10, 200, 500_000, 500
_TIE = 1e-6


def bandwidth() -> float:
    """Bytes per second of sequential reads on one thread: the upper bound of any reader."""
    data = np.ones(1 << 27, dtype=np.float32)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        data.max()
        seconds.append(time.perf_counter() - started)
    return data.nbytes / float(np.median(seconds))


def measure(vectors: Any, queries: Any, storage: str) -> dict[str, Any]:
    stored = StoredVectors(encode(np.array(vectors[:ROWS]), np.dtype(storage)))
    dimension, rng = stored.dimension, np.random.default_rng(0)
    some = truncate(np.array(vectors[:100_000]), dimension)
    scores = queries @ some.T
    least = -np.partition(-scores, K - 1, axis=1)[:, K - 1 : K]
    found = StoredVectors(stored.stored[:100_000]).nearest(queries, dimension, K, threads=2)[1]
    seconds, read = [], dimension * stored.stored.itemsize * CANDIDATES
    for _ in range(TRIALS):
        rows = rng.choice(len(stored), (1, CANDIDATES), replace=False)
        started = time.perf_counter()
        stored.rank(queries[:1], rows, dimension, K)
        seconds.append(time.perf_counter() - started)
    median = float(np.median(seconds))
    return {
        "bytes_a_row": dimension * stored.stored.itemsize,
        "recall@10 of an exact search": round(float((np.take_along_axis(scores, found, 1) >= least - _TIE).mean()), 4),
        "microseconds": round(median * 1e6, 1),
        "GB_a_second": round(read / median / 1e9, 1),
    }


def share(root: Path, queries: Any) -> dict[str, Any]:
    """The rerank's share of the latency of single searches, by the plan of each promised recall."""
    result = {}
    with Index.open(root) as index:
        for recall in (0.9, 0.95, 0.99):
            plan = index.plan(SearchOptions(k=K, recall=recall))
            parts = []
            for query in queries:
                clock = StageClock()
                index.rank(query[None], plan, clock)
                parts.append([sum(one.milliseconds for one in clock.stages if one.name == name) for name in STEPS])
            medians = dict(zip(STEPS, np.round(np.median(parts, axis=0), 4).tolist(), strict=True))
            result[str(recall)] = {"structure": plan.structure, "candidates": plan.candidates, "milliseconds": medians}
    return result


STEPS = ("shortlist", "rerank")


def main() -> None:
    cache = cache_folder()
    results: dict[str, Any] = {"candidates": CANDIDATES, "sequential_GB_a_second": round(bandwidth() / 1e9, 1)}
    for name in ("a", "b"):
        data_set = DATA_SETS[name]
        data = Data(data_set, cache)
        queries = data.queries()[:300]
        vectors = data.vectors(data_set.rows)
        results[data_set.title] = {one: measure(vectors, queries, one) for one in ("float32", "float16", "int8")}
        ours = STRUCTURES["ours-small"]
        if record(cache, data_set, data_set.rows, ours):
            root = folder(cache, data_set, data_set.rows, ours) / "index"
            results[data_set.title]["share"] = share(root, queries)
    save("rerank", results)


if __name__ == "__main__":
    main()
