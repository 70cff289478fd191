"""Qdrant Edge: Qdrant's engine in process. Its server is not a Python package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.service.contenders.base import (
    DEGREE,
    EF_CONSTRUCTION,
    EXACT,
    Contender,
    Corpus,
    K,
    Knob,
    Opened,
    Search,
    Vectors,
    candidates_and_efforts,
    installed,
)

_BATCH = 1000
_EFFORTS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)


@dataclass(frozen=True)
class Qdrant(Contender):
    """HNSW over full vectors, float32 or with 8 bits in the graph; or over a prefix, with Qdrant's prefetch."""

    int8: bool = False
    prefix: int | None = None

    @property
    def name(self) -> str:
        return "qdrant-edge" + (" int8" if self.int8 else "") + (f" prefix {self.prefix}" if self.prefix else "")

    @property
    def form(self) -> str:
        over = "prefetched from HNSW over the prefix, ranked by the whole vector" if self.prefix else "HNSW"
        graph = "int8 in the graph, rescored" if self.int8 else "float32"
        return f"in process; {over}, m={DEGREE}, ef_construct={EF_CONSTRUCTION}, {graph}"

    @property
    def version(self) -> str:
        return installed("qdrant-edge-py")

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return candidates_and_efforts() if self.prefix else (*({"effort": effort} for effort in _EFFORTS), EXACT)

    def build(self, corpus: Corpus, folder: Path) -> None:
        import qdrant_edge as q

        dimension = corpus.vectors.shape[1]
        graph = q.HnswIndexConfig(m=DEGREE, ef_construct=EF_CONSTRUCTION, full_scan_threshold=1000)
        none = q.HnswIndexConfig(m=0, ef_construct=EF_CONSTRUCTION, full_scan_threshold=1000)
        quantised = q.ScalarQuantizationConfig(type=q.ScalarType.Int8, quantile=0.99) if self.int8 else None
        kinds = {
            "full": q.EdgeVectorParams(
                dimension,
                q.Distance.Cosine,
                hnsw_config=none if self.prefix else graph,
                quantization_config=quantised,
            )
        }
        if self.prefix:
            kinds["prefix"] = q.EdgeVectorParams(self.prefix, q.Distance.Cosine, hnsw_config=graph)
        shard = q.EdgeShard.create(
            str(folder / "shard"),
            q.EdgeConfig(vectors=kinds, optimizers=q.EdgeOptimizersConfig(default_segment_number=1)),
        )
        for start in range(0, len(corpus.vectors), _BATCH):
            points = [
                q.Point(row, self._named(corpus.vectors[row]), {"id": corpus.ids[row], "text": corpus.texts[row]})
                for row in range(start, min(start + _BATCH, len(corpus.vectors)))
            ]
            shard.update(q.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()

    def _named(self, vector: Vectors) -> dict[str, list[float]]:
        named = {"full": vector.tolist()}
        if self.prefix:
            named["prefix"] = vector[: self.prefix].tolist()
        return named

    @contextmanager
    def opened(self, corpus: Corpus, folder: Path) -> Iterator[Opened]:
        import qdrant_edge as q

        shard = q.EdgeShard.load(str(folder / "shard"))
        yield _Shard(shard, self.prefix)
        shard.close()


class _Shard(Opened):
    def __init__(self, shard: Any, prefix: int | None) -> None:
        self._shard, self._prefix = shard, prefix

    def searcher(self, knob: Knob, payload: bool) -> Search:
        import qdrant_edge as q

        query, near = self._shard.query, q.Query.Nearest
        effort = q.SearchParams(hnsw_ef=knob.get("effort"), exact=knob == EXACT)

        def whole(vector: Vectors) -> Any:
            wanted = q.QueryRequest(
                limit=K, query=near(vector.tolist(), using="full"), params=effort, with_payload=payload
            )
            return query(wanted)

        def staged(vector: Vectors) -> Any:
            whole = vector.tolist()
            first = q.Prefetch(
                limit=knob["candidates"], query=near(whole[: self._prefix], using="prefix"), params=effort
            )
            return query(
                q.QueryRequest(limit=K, prefetches=[first], query=near(whole, using="full"), with_payload=payload)
            )

        search = staged if self._prefix and knob != EXACT else whole
        if payload:  # points are converted to Python objects on access
            return lambda vector: [(point.id, point.score, point.payload) for point in search(vector)]
        return lambda vector: [(point.id, point.score) for point in search(vector)]

    def rows(self, answer: Any) -> list[int]:
        return [point[0] for point in answer]
