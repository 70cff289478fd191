"""Evaluation: retrieval quality and cost of an index, measured on judged queries."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytrec_eval

from indexer.index import Index
from indexer.plan import HybridOptions, Plan, SearchOptions
from indexer.search.hybrid import check_lexical, rank_hybrid
from indexer.search.results import StageClock
from models.data.rows import BrokenRow, read_rows
from models.errors import DataError

DEPTH = 100
_MEASURES = {
    "ndcg@10": "ndcg_cut_10",
    "map@10": "map_cut_10",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "mrr": "recip_rank",
}
HYBRID_VARIANTS = (
    HybridOptions(fusion="weighted", weight=0),
    HybridOptions(fusion="rrf"),
    HybridOptions(fusion="weighted"),
)
"""Words only, and both fusions with default options."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged queries.

    Attributes:
        queries: text by query id, for queries with at least one judgement.
        judgements: grade by query id and document id.
    """

    queries: dict[str, str]
    judgements: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Score:
    """Quality and cost of one kind of search.

    Attributes:
        search: ``single`` for a single exact search at ``dims``, ``shortlist`` for shortlist and rerank, ``lexical``
            for words only, ``rrf`` or ``weighted`` for the fusion of words with an exact search.
        structure: what finds the candidates.
        dims, candidates, rerank_dims: Ds, K and Dr.
        metrics: nDCG@10 (linear gain), MAP@10, recall@10, recall@100 and MRR as trec_eval defines them, averaged over
            the judged queries.
        seconds_per_query: median latency of single-query calls, without encoding.
        multiply_adds: mean multiply-adds per query.
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
        """Return the attributes as a dictionary."""
        return asdict(self)


def read_judged(queries: str | Path, qrels: str | Path) -> Judged:
    """Read queries (JSON Lines with ``_id`` and ``text``) and judgements (TSV with BEIR's or TREC's columns).

    Raises:
        DataError: a file cannot be read, a line is malformed, or no query has a judgement.
    """
    queries, qrels = Path(queries), Path(qrels)
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
    index: Index,
    judged: Judged,
    sizes: Sequence[int],
    *,
    candidates: int = 200,
    effort: int | None = None,
    hybrid: Sequence[HybridOptions] = (),
) -> list[Score]:
    """Measure exact search at each size, and shortlist with rerank at the index's Ds and each size below D.

    Args:
        index: the index to search.
        judged: queries and judgements.
        sizes: prefix sizes of the single searches; those below D also serve as Ds.
        candidates: K, raised to 100 if smaller, as recall@100 needs them.
        effort: search effort of the structure.
        hybrid: hybrid searches to measure as well, such as :data:`HYBRID_VARIANTS`.

    Raises:
        InvalidOptionError: ``hybrid`` is not empty and the index was built without a lexical index.
    """
    if hybrid:
        check_lexical(index.view)
    vectors = index.encoder.encode_queries(list(judged.queries.values()))
    ids = index.view.ids()
    own = index.manifest.shortlist.dims
    plans = [SearchOptions(k=DEPTH, dims=size, rerank_dims=size) for size in sorted(set(sizes))]
    for size in sorted({own, *(size for size in sizes if size < index.dimension)}):
        # None for the structure's own size: given explicitly, a size of D would be a single exact search.
        dims = None if size == own else size
        plans.append(SearchOptions(k=DEPTH, dims=dims, candidates=max(DEPTH, candidates), effort=effort))
    dense = SearchOptions(k=DEPTH, dims=index.dimension)
    plans += [replace(dense, hybrid=options) for options in hybrid]
    return [_score(index, judged, vectors, ids, plan) for plan in plans]


def _score(index: Index, judged: Judged, vectors: Any, ids: list[str], options: SearchOptions) -> Score:
    plan, hybrid = index.plan(options), options.hybrid
    run: dict[str, dict[str, float]] = {}
    seconds = []
    for (identifier, text), vector in zip(judged.queries.items(), vectors, strict=True):
        started = time.perf_counter()
        if hybrid is None:
            scores, rows = index.rank(vector[None], plan)
        else:
            scores, rows = rank_hybrid(index.view, [text], vector[None], plan, hybrid, None, StageClock(), 1)
        seconds.append(time.perf_counter() - started)
        run[identifier] = {
            ids[row]: score
            for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True)
            # With words only, documents without any of the words score 0 and were not found.
            if row >= 0 and (hybrid is None or score > 0)
        }
    evaluator = pytrec_eval.RelevanceEvaluator(
        judged.judgements, {"ndcg_cut.10", "map_cut.10", "recall.10,100", "recip_rank"}
    )
    measured = evaluator.evaluate(run).values()
    metrics = {name: math.fsum(values[key] for values in measured) / len(measured) for name, key in _MEASURES.items()}
    return Score(
        search=_name(plan, hybrid),
        structure=plan.structure,
        dims=plan.dims,
        candidates=None if plan.single else plan.candidates,
        rerank_dims=plan.rerank_dims,
        metrics=metrics,
        seconds_per_query=float(np.median(seconds)),
        multiply_adds=index.multiply_adds(vectors, plan),
    )


def _name(plan: Plan, hybrid: HybridOptions | None) -> str:
    if hybrid is None:
        return "single" if plan.single else "shortlist"
    return hybrid.fusion if hybrid.weight else "lexical"
