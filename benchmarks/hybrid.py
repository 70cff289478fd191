"""Vectors, BM25 and both: nDCG@10 by human judgements on Cranfield and CISI, and the latency of each search.

The weight of 0.5 and the rank constant of 60 were fixed before these collections were looked at. The curve over other
weights is for information only; nothing was chosen by it.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import data_file, save
from indexer import BuildOptions, Corpus, HybridOptions, Index, LexicalOptions, build_index, evaluate_index, read_judged
from indexer.evaluate import HYBRID_VARIANTS
from models import load_encoder

LANGUAGES = (None, "english")
WEIGHTS = tuple(step / 10 for step in range(11))


def measure(folder: Path, language: str | None) -> dict[str, Any]:
    judged = read_judged(folder / "queries.jsonl", folder / "qrels" / "test.tsv")
    options = BuildOptions(dims=64, calibration=None, lexical=LexicalOptions(language=language))
    with tempfile.TemporaryDirectory() as out:
        build_index(Corpus([folder]), load_encoder("wordllama"), Path(out), options)
        with Index.open(out) as index:
            curve = [HybridOptions(fusion="weighted", weight=weight) for weight in WEIGHTS]
            dense, _, *rest = evaluate_index(index, judged, [index.dimension], hybrid=(*HYBRID_VARIANTS, *curve))
    searches = {"dense": dense, **{score.search: score for score in rest[: len(HYBRID_VARIANTS)]}}
    return {
        "searches": {
            name: {**score.metrics, "milliseconds": score.seconds_per_query * 1e3} for name, score in searches.items()
        },
        "ndcg@10 by weight of the vectors": {
            str(weight): score.metrics["ndcg@10"]
            for weight, score in zip(WEIGHTS, rest[len(HYBRID_VARIANTS) :], strict=True)
        },
    }


def main() -> None:
    collections = {
        name: {language or "no stems": measure(data_file(name), language) for language in LANGUAGES}
        for name in ("cranfield", "cisi")
    }
    save("hybrid", {"model": "wordllama", "collections": collections})


if __name__ == "__main__":
    main()
