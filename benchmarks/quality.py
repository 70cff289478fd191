"""Search quality by human judgements on Cranfield and CISI, at every size of the built-in model."""

import tempfile
from pathlib import Path

from benchmarks.report import data_file, save
from indexer import BuildOptions, Corpus, Index, build_index, evaluate_index, read_judged
from models import load_encoder

SIZES = (32, 64, 128, 256)


def main() -> None:
    results = {}
    for name in ("cranfield", "cisi"):
        folder = data_file(name)
        with tempfile.TemporaryDirectory() as out:
            build_index(Corpus([folder]), load_encoder("wordllama"), Path(out), BuildOptions(dims=64))
            with Index.open(out) as index:
                judged = read_judged(folder / "queries.jsonl", folder / "qrels" / "test.tsv")
                results[name] = [score.to_json() for score in evaluate_index(index, judged, SIZES, candidates=200)]
    save("quality", {"model": "wordllama", "collections": results})


if __name__ == "__main__":
    main()
