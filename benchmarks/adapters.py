"""Adapters for all-MiniLM-L6-v2, which was not trained nested: recall of a prefix against exact search at 384.

Adapters learn from the first rows of the corpus. The remaining rows are searched, with held-out package names and with
some of the rows as queries.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import save
from benchmarks.retrieval.config import DATA_SETS, cache_folder
from benchmarks.retrieval.data import Data
from benchmarks.retrieval.encoders import name_as_words
from models.adapter.options import AdapterOptions
from models.adapter.training import LearnedAdapter, learn_adapter
from models.evaluation.prefix_recall import prefix_recall
from models.nesting import Vectors

SIZES = (16, 32, 64, 128, 192)
ROWS, LEARNED, ASKED, QUERIES = 24_000, 12_000, 8_000, 1000
CANDIDATES = (10, 100)
SEEDS = (0, 1, 2)
_ENCODED = 1024


def kept(path: Path, texts: Sequence[str], encode: Callable[[Sequence[str]], Vectors]) -> Vectors:
    """Read vectors from a file, creating it first if it is missing."""
    if not path.exists():
        np.save(path, np.concatenate([encode(texts[i : i + _ENCODED]) for i in range(0, len(texts), _ENCODED)]))
    vectors: Vectors = np.load(path)
    return vectors


def principal(rows: Vectors, *, centred: bool) -> Vectors:
    """The principal directions of the documents, as rows."""
    exact = rows.astype(np.float64)
    exact -= exact.mean(axis=0) if centred else 0
    return np.linalg.eigh(exact.T @ exact)[1].T[::-1].astype(np.float32)


def measure(matrix: Vectors, searches: dict[str, tuple[Vectors, Vectors]]) -> dict[str, Any]:
    """Recall by kind of search, shortlist length and size."""
    mapped = {name: (queries @ matrix.T, rows @ matrix.T) for name, (queries, rows) in searches.items()}
    return {
        name: {
            f"recall@10, K={candidates}": {
                size: round(value, 4) for size, value in prefix_recall(*sides, SIZES, candidates=candidates).items()
            }
            for candidates in CANDIDATES
        }
        for name, sides in mapped.items()
    }


def interval(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and range (lowest, highest) of each figure over the seeds."""
    if isinstance(results[0], dict):
        return {key: interval([one[key] for one in results]) for key in results[0]}
    return {"mean": round(float(np.mean(results)), 4), "lowest": min(results), "highest": max(results)}


def main() -> None:
    data = Data(DATA_SETS["c"], cache_folder())
    table = data.table().slice(0, ROWS)
    names = [name_as_words(name) for name in table["id"].to_pylist()]
    tested = data.query_texts()
    known = {name.lower() for name in tested}
    asked_names = [name for name in names[:ASKED] if name.lower() not in known]
    encoder = data.encoder
    vectors = kept(data.folder / "adapters-documents.npy", table["text"].to_pylist(), encoder.encode_documents)
    queries = kept(data.folder / "adapters-queries.npy", asked_names, encoder.encode_queries)
    test = kept(data.folder / "adapters-test.npy", tested, encoder.encode_queries)
    learned, held = vectors[:LEARNED], vectors[LEARNED:]
    searches = {
        "names of packages": (test, held),
        "descriptions": (held[:QUERIES], held[QUERIES:]),
    }
    methods = {
        "truncation": measure(np.eye(vectors.shape[1], dtype=np.float32), searches),
        "PCA": measure(principal(learned, centred=False), searches),
        "PCA of centred vectors": measure(principal(learned, centred=True), searches),
        # The starting point of the adapter with queries: documents and queries have equal weight.
        "PCA, with queries": measure(
            principal(np.concatenate([learned / len(learned) ** 0.5, queries / len(queries) ** 0.5]), centred=False),
            searches,
        ),
    }
    runs: list[LearnedAdapter] = []
    for name, asked in (("adapter, documents alone", None), ("adapter, with queries", queries)):
        found = []
        for seed in SEEDS:
            runs.append(learn_adapter(learned, AdapterOptions(sizes=SIZES, seed=seed), asked))
            found.append(measure(runs[-1].adapter.matrix, searches))
        methods[name] = interval(found)
    rows, few = searches["descriptions"][0], held[-5000:]
    whole = rows @ few.T
    maps = [run.adapter for run in runs]
    change = max(float(np.abs(one.apply(rows) @ one.apply(few).T - whole).max()) for one in maps)
    save(
        "adapters",
        {
            "vectors": "all-MiniLM-L6-v2, 384-d, package descriptions",
            "learned_from": {"documents": len(learned), "queries": len(queries)},
            "searched": {
                name: {"queries": len(sides[0]), "documents": len(sides[1])} for name, sides in searches.items()
            },
            "largest_change_of_a_whole_score": change,
            "runs": [{"steps": run.steps, "best_step": run.best_step, "stopped": run.stopped} for run in runs],
            "methods": methods,
        },
    )


if __name__ == "__main__":
    main()
