"""The stop rule: candidates left unread, time saved, and how both vary between easy and hard queries.

Uses exact shortlists of real queries. Gaps are fitted on calibration queries; everything else is measured on held-out
queries. The data sets are those of ``benchmarks.retrieval``, and Cranfield.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.report import data_file, save
from benchmarks.retrieval.config import DATA_SETS, cache_folder
from benchmarks.retrieval.data import Data
from indexer.kernels.rows import Rows
from indexer.kernels.threads import cores
from indexer.plan import StopRule
from indexer.search.distinct import DistinctRows
from indexer.search.stopping import PrefixNorms, Stopped, fit_gap, needed_gaps, rank_stopping
from indexer.storage.vectors import Storage, StoredVectors, encode
from models import load_encoder, truncate
from models.nesting import Vectors

K = 10
ROWS = 300_000
CANDIDATES = (100, 200, 1000)
PROBABILITIES = (0.9, 0.95, 0.99)
SHOWN = 0.95
RECALLS = (0.95, 0.98, 0.99, 0.995)
ROUNDS = 3
TIMED = 500
SETS: tuple[tuple[str, Storage, tuple[int, ...]], ...] = (
    ("cranfield", "float16", (64, 128)),
    ("a", "float16", (64, 128, 192)),
    ("b", "float16", (128, 256, 512)),
    ("b", "int8", (256,)),
)


@dataclass(frozen=True)
class Questions:
    """Queries with their exact shortlists, and the answers when all candidates are read.

    Attributes:
        queries: unit vectors, shape (n, D).
        coarse, rows: scores and rows of the shortlists, shape (n, K).
        scores: of the candidates at full dimension, shape (n, K).
        answer: scores and rows of the best k.
        least: the k-th score of the whole index, shape (n, 1).
    """

    queries: Vectors
    coarse: Vectors
    rows: Rows
    scores: Vectors
    answer: tuple[Vectors, Rows]
    least: Vectors

    def cut(self, vectors: StoredVectors, candidates: int) -> "Questions":
        """Return the same with shortened shortlists."""
        coarse, rows, scores = (np.ascontiguousarray(a[:, :candidates]) for a in (self.coarse, self.rows, self.scores))
        answer = vectors.rank(self.queries, rows, vectors.dimension, K, cores())
        return Questions(self.queries, coarse, rows, scores, answer, self.least)

    @cached_property
    def found(self) -> Vectors:
        """Recall@k after reading the first 1, 2, … K candidates, shape (n, K)."""
        return np.minimum(np.cumsum(self.scores >= self.least, axis=1), K) / K

    @cached_property
    def below(self) -> Vectors:
        """How far each candidate's coarse score lies below the k-th candidate's, shape (n, K)."""
        return self.coarse[:, K - 1 : K] - self.coarse


def load(name: str, storage: Storage) -> tuple[StoredVectors, Vectors, Vectors]:
    """Return distinct rows as stored, calibration queries, and test queries."""
    if name == "cranfield":
        encoder, folder = load_encoder("wordllama"), data_file("cranfield")
        texts = [
            [row["text"] for row in map(json.loads, (folder / file).read_text(encoding="utf-8").splitlines())]
            for file in ("corpus.jsonl", "queries.jsonl")
        ]
        vectors = encoder.encode_documents(texts[0])
        queries = encoder.encode_queries(texts[1])
        calibration, test = queries[::2], queries[1::2]
    else:
        data = Data(DATA_SETS[name], cache_folder())
        vectors, calibration, test = data.vectors(ROWS), data.queries("calibration"), data.queries()
    stored = StoredVectors(encode(vectors[vectors.any(axis=1)], np.dtype(storage)))
    distinct = StoredVectors(stored.stored[DistinctRows.find(stored).first])
    return distinct, *(truncate(queries, stored.dimension) for queries in (calibration, test))


def ask(vectors: StoredVectors, queries: Vectors, dims: int) -> Questions:
    coarse, rows = vectors.nearest(truncate(queries, dims), dims, min(max(CANDIDATES), len(vectors)), cores())
    least = vectors.nearest(queries, vectors.dimension, K, cores())[0][:, -1:]
    answer = vectors.rank(queries, rows, vectors.dimension, K, cores())
    return Questions(queries, coarse, rows, vectors.scores(queries, rows, vectors.dimension), answer, least)


def measure(vectors: StoredVectors, norms: PrefixNorms, fitted: Questions, asked: Questions) -> dict[str, Any]:
    gaps = needed_gaps(fitted.coarse, fitted.rows, fitted.answer[1])
    rules = {"certified": (StopRule(), norms)}
    for probability in PROBABILITIES:
        if len(gaps) * (1 - probability) >= 1:
            rules[f"gap, probability {probability}"] = (fit_gap(gaps, probability), None)
    found = {name: rerank(vectors, asked, *rule) for name, rule in rules.items()}
    # Norms are passed here for the share of certified answers; times are measured without them.
    proved = {name: rerank(vectors, asked, rule, norms).certified.mean() for name, (rule, _) in rules.items()}
    microseconds = timed(
        {
            "all": lambda i: vectors.rank(asked.queries[i], asked.rows[i], vectors.dimension, K),
            **{name: lambda i, rule=rule: rerank(vectors, asked, *rule, i) for name, rule in rules.items()},
        },
        len(asked.queries),
    )
    return {
        "recall of reading all": rounded(asked.found[:, -1].mean()),
        "microseconds of reading all": microseconds["all"],
        "rules": {
            name: {
                "gap": rules[name][0].gap,
                "read": round(float(one.read.mean()), 1),
                "read, deciles 1, 5, 9": np.percentile(one.read, [10, 50, 90]).round().astype(int).tolist(),
                "answers of reading all": rounded((one.rows == asked.answer[1]).all(axis=1).mean()),
                "recall": rounded((one.scores >= asked.least).mean()),
                "proved the shortlist's best": rounded(proved[name]),
                "microseconds": microseconds[name],
                **({"read by difficulty": difficulty(asked, one)} if rules[name][0].probability == SHOWN else {}),
            }
            for name, one in found.items()
        },
        "read at equal recall": equal_recall(asked),
        "slack of the bound, probability 0.95": slack(norms, fitted, asked),
        "proved the whole index's best": rounded(proved_of_all(norms, asked)),
    }


def rerank(
    vectors: StoredVectors, asked: Questions, rule: StopRule, norms: PrefixNorms | None, part: Any = slice(None)
) -> Stopped:
    given = (asked.queries[part], asked.rows[part], asked.coarse[part])
    return rank_stopping(vectors, *given, vectors.dimension, K, rule, norms)


def timed(calls: dict[str, Callable[[slice], Any]], queries: int) -> dict[str, float]:
    """Return the median time per query of each call: the minimum over rounds in which the calls alternate.

    A round runs all queries of a call before the next call, so that rows read by the previous call have left the
    processor's cache if they exceed it.
    """
    best = dict.fromkeys(calls, np.inf)
    parts = [slice(i, i + 1) for i in range(min(queries, TIMED))]
    for _ in range(ROUNDS):
        for name, call in calls.items():
            seconds = []
            for part in parts:
                started = time.perf_counter()
                call(part)
                seconds.append(time.perf_counter() - started)
            best[name] = min(best[name], float(np.median(seconds)) * 1e6)
    return {name: round(microseconds, 1) for name, microseconds in best.items()}


def difficulty(asked: Questions, stopped: Stopped) -> dict[str, list[float]]:
    """Return the mean number of candidates read by fifths of the queries, easiest first, by three measures of ease."""
    listed = (asked.rows[:, :, None] == asked.answer[1][:, None, :]).any(axis=2)
    measures = {
        "how many candidates lie before the answer's last": np.where(listed, np.arange(listed.shape[1]), 0).max(axis=1),
        "how close the k-th score is to the first": asked.answer[0][:, -1] - asked.answer[0][:, 0],
        "how low the k-th score is": -asked.answer[0][:, -1],
    }
    return {
        name: [
            round(float(stopped.read[fifth].mean()), 1)
            for fifth in np.array_split(np.argsort(hardness, kind="stable"), 5)
        ]
        for name, hardness in measures.items()
    }


def equal_recall(asked: Questions) -> dict[str, dict[str, float]]:
    """Return the candidates read by the smallest fixed number and the smallest gap that reach a recall in hindsight."""
    fixed = asked.found.mean(axis=0)
    result = {}
    for recall in RECALLS:
        if recall > fixed[-1]:
            continue
        number = max(K, int(np.argmax(fixed >= recall)) + 1)
        # Mean recall grows with the gap, so the smallest is found by bisection.
        low, high = 0.0, float(asked.below.max())
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if _with_gap(asked, middle)[0] >= recall else (middle, high)
        result[str(recall)] = {"fixed": number, "gap": round(_with_gap(asked, high)[1], 1)}
    return result


def _with_gap(asked: Questions, gap: float) -> tuple[float, float]:
    read = np.maximum((asked.below <= gap).sum(axis=1), K)
    return float(np.take_along_axis(asked.found, read[:, None] - 1, axis=1).mean()), float(read.mean())


def slack(norms: PrefixNorms, fitted: Questions, asked: Questions) -> dict[str, float]:
    """Measure the rule that the gap replaces: the certificate with its second term scaled by a fitted factor.

    Candidates are counted as if the k-th best score were known from the start; a real rerank reads more.
    """
    needed = []
    for questions in (fitted, asked):
        prefix, rest = _terms(norms, questions)
        kth = questions.answer[0][:, -1:]
        needed.append(np.where(questions.scores >= kth, (kth - prefix) / rest, -np.inf).max(axis=1))
    factor = float(np.quantile(needed[0], 0.95))
    read = (prefix + factor * rest >= kth).sum(axis=1).mean()
    return {
        "factor": round(factor, 3),
        "read": round(float(read), 1),
        "answers of reading all": rounded((needed[1] <= factor).mean()),
    }


def _terms(norms: PrefixNorms, questions: Questions) -> tuple[Vectors, Vectors]:
    own = np.linalg.norm(questions.queries[:, : norms.dims], axis=1, keepdims=True)
    theirs = norms.values[questions.rows]
    return questions.coarse * own * theirs, np.sqrt(1 - own**2) * np.sqrt(np.maximum(1 - theirs**2, 1e-6))


def proved_of_all(norms: PrefixNorms, asked: Questions) -> float:
    """Return the share of queries whose answer no row outside the shortlist can enter.

    Outside, no prefix is closer than the last candidate's; the bound is the maximum over the norms that occur.
    """
    own = np.linalg.norm(asked.queries[:, : norms.dims], axis=1)
    along, across = own * asked.coarse[:, -1], np.sqrt(1 - own**2)
    highest = np.clip(along / np.hypot(along, across), norms.values.min(), norms.values.max())
    bound = along * highest + across * np.sqrt(np.maximum(1 - highest**2, 0))
    return float((asked.answer[0][:, -1] > bound).mean())


def rounded(share: Any) -> float:
    return round(float(share), 4)


def runs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, storage, sizes in SETS:
        vectors, calibration, test = load(name, storage)
        for dims in sizes:
            norms = PrefixNorms(np.concatenate(list(vectors.prefix_norms(dims))), dims)
            fitted, asked = (ask(vectors, queries, dims) for queries in (calibration, test))
            for candidates in CANDIDATES:
                if candidates < len(vectors):
                    parts = (fitted.cut(vectors, candidates), asked.cut(vectors, candidates))
                    title = f"{name}, {vectors.dimension} x {storage}, Ds={dims}, K={candidates}"
                    yield title, {"rows": len(vectors), **measure(vectors, norms, *parts)}


def main() -> None:
    save("stopping", {"k": K, "measured": dict(runs())})


if __name__ == "__main__":
    main()
