"""How good and how costly searches of an index are, by human judgements."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytrec_eval

from indexer.plan import SearchOptions
from indexer.search import Index
from models.errors import DataError
from models.rows import BrokenRow, read_rows

DEPTH = 100
_MEASURES = {
    "ndcg@10": "ndcg_cut_10",
    "map@10": "map_cut_10",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "mrr": "recip_rank",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged queries.

    Attributes:
        queries: text by query id; those without a judgement are left out.
        judgements: grade by query id and document id.
    """

    queries: dict[str, str]
    judgements: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Score:
    """One way of searching, measured.

    Attributes:
        search: ``single`` for one exact search at ``dims``, ``shortlist`` for shortlist and rerank.
        structure: what finds the candidates.
        dims, candidates, rerank_dims: Ds, K and Dr.
        metrics: nDCG@10 (linear gain), MAP@10, recall@10, recall@100 and MRR, by trec_eval's definitions, means over
            the judged queries.
        seconds_per_query: median of single-query calls, encoding not counted.
        multiply_adds: a query.
    """

    search: str
    structure: str
    dims: int
    candidates: int | None
    rerank_dims: int
    metrics: dict[str, float]
    seconds_per_query: float
    multiply_adds: float

    def to_json(self) -> dict[str, Any]:
        """A flat dictionary."""
        return asdict(self)


def read_judged(queries: Path, qrels: Path) -> Judged:
    """Read queries (JSON Lines with ``_id`` and ``text``) and judgements (TSV, BEIR's or TREC's columns).

    Raises:
        DataError: a file cannot be read, a line is broken, or no query has a judgement.
    """
    texts: dict[str, str] = {}
    for row in read_rows(queries):
        if isinstance(row, BrokenRow):
            raise DataError(f"{queries} line {row.number}: {row.reason}")
        identifier, text = row.fields.get("_id", row.fields.get("id")), row.fields.get("text")
        if identifier is None or not isinstance(text, str):
            raise DataError(
                f"{queries} line {row.number}: a query needs '_id' and 'text', the row has {sorted(row.fields)}"
            )
        texts[str(identifier)] = text
    judgements: dict[str, dict[str, int]] = {}
    try:
        with qrels.open(encoding="utf-8", newline="") as file:
            for number, cells in enumerate(csv.reader(file, delimiter="\t"), start=1):
                if len(cells) == 1:
                    cells = cells[0].split()
                if not cells or (number == 1 and not cells[-1].lstrip("-").isdecimal()):
                    continue
                if len(cells) not in (3, 4):
                    raise DataError(f"{qrels} line {number}: {len(cells)} columns; needed are query, document, grade")
                try:
                    judgements.setdefault(cells[0], {})[cells[-2]] = int(cells[-1])
                except ValueError:
                    raise DataError(f"{qrels} line {number}: grade {cells[-1]!r} is not a whole number") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {qrels}: {error}") from error
    judged = {identifier: text for identifier, text in texts.items() if identifier in judgements}
    if not judged:
        raise DataError(f"no query of {queries} has a judgement in {qrels}")
    return Judged(judged, {identifier: judgements[identifier] for identifier in judged})


def evaluate_index(
    index: Index, judged: Judged, sizes: Sequence[int], candidates: int = 200, effort: int | None = None
) -> list[Score]:
    """Measure an exact search at each size, then shortlist and rerank at the index's own Ds and at each smaller size.

    Args:
        index: what is searched.
        judged: queries and judgements.
        sizes: sizes of the single searches; each smaller than D is also tried as Ds.
        candidates: K, raised to 100 where smaller: recall@100 needs them.
        effort: of the structure.
    """
    vectors = index.encoder.encode_queries(list(judged.queries.values()))
    ids = index.view.ids()
    own = index.manifest.shortlist.dims
    plans = [SearchOptions(DEPTH, size, None, None, size) for size in sorted(set(sizes))]
    for size in sorted({own, *(size for size in sizes if size < index.dimension)}):
        # Left open rather than given where it is the structure's own: given as D it would ask for an exact search.
        dims = None if size == own else size
        plans.append(SearchOptions(DEPTH, dims, max(DEPTH, candidates), effort))
    return [_score(index, judged, vectors, ids, plan) for plan in plans]


def _score(index: Index, judged: Judged, vectors: Any, ids: list[str], options: SearchOptions) -> Score:
    plan = index.plan(options)
    run: dict[str, dict[str, float]] = {}
    seconds = []
    for identifier, vector in zip(judged.queries, vectors, strict=True):
        started = time.perf_counter()
        scores, rows = index.rank(vector[None], plan)
        seconds.append(time.perf_counter() - started)
        run[identifier] = {
            ids[row]: score for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True) if row >= 0
        }
    evaluator = pytrec_eval.RelevanceEvaluator(
        judged.judgements, {"ndcg_cut.10", "map_cut.10", "recall.10,100", "recip_rank"}
    )
    measured = evaluator.evaluate(run).values()
    metrics = {name: math.fsum(one[key] for one in measured) / len(measured) for name, key in _MEASURES.items()}
    return Score(
        search="single" if plan.single else "shortlist",
        structure=plan.structure,
        dims=plan.dims,
        candidates=None if plan.single else plan.candidates,
        rerank_dims=plan.rerank_dims,
        metrics=metrics,
        seconds_per_query=float(np.median(seconds)),
        multiply_adds=index.work(vectors, plan),
    )
