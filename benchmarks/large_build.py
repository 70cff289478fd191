"""A build of about a million rows with the user's command: time, peak memory, bytes per row; then its searches.

The build and the searches run in separate processes, so that their memory is measured separately.
"""

import json
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import data_file, save
from indexer import Index, SearchOptions
from indexer.plan import SCAN
from indexer.storage.manifest import Manifest

QUERIES = 1000
TIMED_SCANS = 20
PLANS = {
    "no wish (recall 0.95)": SearchOptions(),
    "recall 0.9": SearchOptions(recall=0.9),
    "recall 0.99": SearchOptions(recall=0.99),
    "scan of 32 dimensions, K=200": SearchOptions(dims=32),
    "scan of 64 dimensions, K=200": SearchOptions(dims=64),
    # Not the structure's size: that would be searched by the structure.
    "scan of 129 dimensions, K=200": SearchOptions(dims=129),
    "one exact search at 256 dimensions": SearchOptions(dims=256),
}
_TIE = 1e-4


def build(corpus: Path, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "service", "index", "build", str(corpus), "--out", str(out), "--json"]
    started = time.perf_counter()
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = time.perf_counter() - started
    result = json.loads(printed)
    manifest = Manifest.read(out / "generations" / result["generation"])
    # ru_maxrss is in kilobytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "rows": result["documents"],
        "seconds": round(seconds, 1),
        "rows_per_second": round(result["documents"] / seconds),
        "peak_memory_bytes": peak,
        "disk_bytes_per_row": {name: round(f.size / manifest.rows, 1) for name, f in manifest.files.items()},
        "disk_bytes_per_row_total": round(sum(f.size for f in manifest.files.values()) / manifest.rows, 1),
    }


def search(out: Path, queries: list[str], results: Any) -> None:
    before = _anonymous_bytes()
    index = Index.open(out)
    opened = _anonymous_bytes() - before
    vectors = index.encoder.encode_queries(queries)
    exact, _ = index.rank(vectors, index.plan(SearchOptions(dims=index.dimension)))
    measured = {}
    for name, options in PLANS.items():
        plan = index.plan(options)
        scores, _ = index.rank(vectors, plan)
        seconds = []
        for vector in vectors[: TIMED_SCANS if plan.structure == SCAN else None]:
            started = time.perf_counter()
            index.rank(vector[None], plan)
            seconds.append(time.perf_counter() - started)
        # A result that scores like the tenth exact neighbour counts as found: equal texts are interchangeable.
        recall = np.mean(scores >= exact[:, -1:] - _TIE)
        promise = plan.promise
        measured[name] = {
            "structure": plan.structure,
            "promised": promise and {"at least": promise.recall_low, "met": promise.met},
            "recall@10": round(float(recall), 4),
            "median_ms": round(float(np.median(seconds)) * 1e3, 3),
            "p95_ms": round(float(np.percentile(seconds, 95)) * 1e3, 3),
        }
    results.put({"memory_bytes_per_row": round(opened / len(index), 1), "queries": len(queries), "plans": measured})


def _anonymous_bytes() -> int:
    """The process's own memory, without memory-mapped vectors, which the system may evict."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def main() -> None:
    import pyarrow.parquet as pq

    corpus = data_file("packages.parquet")
    # The last rows' names, as words: "pypi:django-cotton-bs5" becomes the query "django cotton bs5".
    names = pq.read_table(corpus, columns=["id"]).column("id")[-QUERIES:].to_pylist()
    queries = [re.sub(r"[^A-Za-z0-9]+", " ", name.split(":", 1)[-1]).strip() for name in names]
    with tempfile.TemporaryDirectory() as out:
        results = build(corpus, Path(out))
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=search, args=(Path(out), queries, queue))
        process.start()
        results["search"] = queue.get()
        process.join()
    save("large_build", results)


if __name__ == "__main__":
    main()
