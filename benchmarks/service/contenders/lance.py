"""LanceDB, in process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

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

_PROBES_AND_REFINE = (
    (10, 5),
    (20, 5),
    (20, 10),
    (20, 20),
    (40, 20),
    (40, 50),
    (80, 50),
    (160, 50),
    (160, 100),
    (160, 200),
)
_EFFORTS_AND_REFINE = ((50, 2), (100, 2), (100, 5), (200, 5), (400, 5), (800, 5), (1500, 10), (3000, 20))


@dataclass(frozen=True)
class Lance(Contender):
    """An index over full vectors, refined by LanceDB; or over a prefix, reranked by the client, as it has no stages."""

    kind: str
    prefix: int | None = None

    @property
    def name(self) -> str:
        return f"lancedb {self.kind}" + (f" prefix {self.prefix}" if self.prefix else "")

    @property
    def form(self) -> str:
        graph = f", m={DEGREE}, ef_construction={EF_CONSTRUCTION}" if "HNSW" in self.kind else ""
        over = "over the prefix, ranked by NumPy with the vectors answered" if self.prefix else "refined"
        return f"in process; {self.kind}{graph}, partitions by default, {over}"

    @property
    def version(self) -> str:
        return installed("lancedb")

    @property
    def knobs(self) -> tuple[Knob, ...]:
        if self.prefix:
            return candidates_and_efforts()
        if "HNSW" in self.kind:
            return *({"effort": effort, "refine": refine} for effort, refine in _EFFORTS_AND_REFINE), EXACT
        return *({"probes": probes, "refine": refine} for probes, refine in _PROBES_AND_REFINE), EXACT

    @property
    def _column(self) -> str:
        return "prefix" if self.prefix else "full"

    def build(self, corpus: Corpus, folder: Path) -> None:
        import lancedb

        columns: dict[str, Any] = {
            "row": pa.array(np.arange(len(corpus.vectors))),
            "id": corpus.ids,
            "text": corpus.texts,
            "full": _column(corpus.vectors),
        }
        if self.prefix:
            columns["prefix"] = _column(corpus.vectors[:, : self.prefix])
        table = lancedb.connect(folder).create_table("rows", pa.table(columns))
        graph = {"m": DEGREE, "ef_construction": EF_CONSTRUCTION} if "HNSW" in self.kind else {}
        table.create_index("cosine", vector_column_name=self._column, index_type=self.kind, **graph)
        table.optimize()

    @contextmanager
    def opened(self, corpus: Corpus, folder: Path) -> Iterator[Opened]:
        import lancedb

        yield _Table(lancedb.connect(folder).open_table("rows"), self)


def _column(vectors: Vectors) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])


class _Table(Opened):
    def __init__(self, table: Any, lance: Lance) -> None:
        self._table, self._prefix, self._vectors = table, lance.prefix, lance._column

    def searcher(self, knob: Knob, payload: bool) -> Search:
        columns = ["row", "_distance", *(("id", "text") if payload else ())]

        def exact(vector: Vectors) -> Any:
            search = self._table.search(vector, vector_column_name="full").distance_type("cosine").limit(K)
            return search.bypass_vector_index().select(columns).to_arrow().to_pylist()

        def refined(vector: Vectors) -> Any:
            search = self._table.search(vector, vector_column_name=self._vectors).distance_type("cosine").limit(K)
            search = search.ef(knob["effort"]) if "effort" in knob else search.nprobes(knob["probes"])
            return search.refine_factor(knob["refine"]).select(columns).to_arrow().to_pylist()

        def ranked(vector: Vectors) -> Any:
            search = self._table.search(vector[: self._prefix], vector_column_name=self._vectors)
            search = search.distance_type("cosine").ef(knob["effort"]).limit(knob["candidates"])
            found = search.select([*columns, "full"]).to_arrow()
            rows = found["full"].combine_chunks().values.to_numpy().reshape(len(found), -1)
            best = np.argsort(-(rows @ vector), kind="stable")[:K]
            return found.select(columns).take(best).to_pylist()

        if knob == EXACT:
            return exact
        return ranked if self._prefix else refined

    def rows(self, answer: Any) -> list[int]:
        return [one["row"] for one in answer]
