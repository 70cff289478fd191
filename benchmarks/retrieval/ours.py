"""This project in the comparison: an index bundle, searched by promised recall."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.retrieval.peers import Peer, Search
from indexer import BuildOptions, Corpus, Index, SearchOptions, build_index
from indexer.calibration import CalibrationOptions, calibrate_index
from models.encoders.base import Prompts
from models.nesting import Nesting, Vectors

_CALIBRATION_SECONDS = 90


class GivenVectors:
    """An encoder with precomputed vectors: a text is the number of its row."""

    name = "given vectors"
    prompts = Prompts()
    device = "cpu"

    def __init__(self, vectors: Vectors, nesting: Nesting) -> None:
        self.nesting, self.dimension = nesting, vectors.shape[1]
        self.content_hash = hashlib.sha256(str(vectors.shape).encode()).hexdigest()
        self._vectors = vectors

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return np.array(self._vectors[[int(text) for text in texts]], dtype=np.float32)


class Ours(Peer):
    """An index bundle over the data set's vectors, built and calibrated as a user would."""

    calibrated = True

    def __init__(self, index: Index) -> None:
        self.index = index

    @classmethod
    def build(
        cls,
        vectors: Vectors,
        threads: int,
        *,
        queries: Vectors,
        sizes: Sequence[int],
        dims: int,
        shortlist: str,
        storage: str = "float16",
        **values: Any,
    ) -> Self:
        """Build, and calibrate with queries other than the test queries."""
        root = Path(tempfile.mkdtemp(prefix="ours-", dir=Path.cwd()))
        corpus = root / "corpus.jsonl"
        with corpus.open("w", encoding="utf-8") as file:
            for row in range(len(vectors)):
                file.write(json.dumps({"_id": str(row), "text": str(row)}) + "\n")
        encoder = GivenVectors(vectors, Nesting(tuple(sizes)))
        options = BuildOptions(
            dims=dims, shortlist=shortlist, shortlist_values=values, vectors=storage, calibration=None
        )
        build_index(Corpus([corpus]), encoder, root / "index", options)
        calibrate_index(root / "index", queries, CalibrationOptions(k=(10,), seconds=_CALIBRATION_SECONDS))
        corpus.unlink()
        return cls(Index.open(root / "index"))

    def save(self, folder: Path) -> None:
        root = self.index.root
        self.index.close()
        root.rename(folder / "index")
        root.parent.rmdir()

    @classmethod
    def load(cls, folder: Path, vectors: Vectors) -> Self:
        return cls(Index.open(folder / "index"))

    def searcher(self, k: int, threads: int, *, recall: float) -> Search:
        plan = self.index.plan(SearchOptions(k=k, recall=recall))
        self.index.threads = threads
        return lambda queries: self.index.rank(queries, plan)[1]

    def mapped_bytes(self) -> int:
        return (self.index.opened.path / "vectors.npy").stat().st_size
