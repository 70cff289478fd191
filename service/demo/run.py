"""Steps of the demonstration."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from indexer import BuildResult, Corpus, build_index
from models.data.pairs import Pair
from models.encoders.load import load_encoder
from models.evaluation import evaluate_pairs
from models.progress import Report
from models.training.contrastive import TrainingResult, train
from models.training.options import TrainingOptions
from service.demo.docstrings import Docstring, read_docstrings
from service.demo.plot import plot_scores

BASE = "wordllama"
QUERIES = (
    "parse a json string into python objects",
    "read a csv file row by row",
    "run a coroutine with a timeout",
    "solve a linear system of equations",
    "hash a file with sha256",
)
_OPTIONS = TrainingOptions(epochs=8, max_seconds=120)


@dataclass(frozen=True, slots=True)
class Paths:
    """Files of the demonstration, below one directory."""

    root: Path

    @property
    def corpus(self) -> Path:
        """Documents."""
        return self.root / "corpus.jsonl"

    @property
    def pairs(self) -> Path:
        """Training pairs."""
        return self.root / "pairs.jsonl"

    @property
    def model(self) -> Path:
        """Trained model."""
        return self.root / "model"

    @property
    def index(self) -> Path:
        """Index."""
        return self.root / "index"

    @property
    def plot(self) -> Path:
        """Plot of the scores."""
        return self.root / "ndcg.png"

    @property
    def scores(self) -> Path:
        """Scores as JSON."""
        return self.root / "ndcg.json"


def write_corpus(paths: Paths, most: int) -> list[Docstring]:
    """Read docstrings, and write corpus and training pairs in the form that a user has them: JSON Lines."""
    docstrings = read_docstrings(most)
    paths.root.mkdir(parents=True, exist_ok=True)
    documents = (
        {"_id": found.name, "title": found.name, "text": found.text, "kind": found.kind} for found in docstrings
    )
    _write_lines(paths.corpus, documents)
    _write_lines(paths.pairs, ({"query": pair.query, "document": pair.document} for pair in _training(docstrings)))
    return docstrings


def train_model(paths: Paths, docstrings: Iterable[Docstring], report: Report) -> TrainingResult:
    """Train on pairs of a docstring's summary and the rest of it."""
    return train(_training(docstrings), BASE, paths.model, _OPTIONS, restart=paths.model.exists(), report=report)


def compare(paths: Paths, docstrings: Iterable[Docstring]) -> tuple[dict[int, float], dict[int, float], str]:
    """Evaluate base and trained model on the held-out pairs, among the documents of all pairs, and plot the scores.

    Returns:
        nDCG@10 by prefix size, before and after training, and a description of what was measured.
    """
    pairs = [found for found in docstrings if found.is_pair]
    held_out = [Pair(found.summary, found.rest) for found in pairs if found.held_out]
    others = [found.rest for found in pairs if not found.held_out]
    trained = load_encoder(str(paths.model))
    sizes = trained.nesting.sizes
    before = evaluate_pairs(load_encoder(BASE), held_out, sizes, distractors=others)
    after = evaluate_pairs(trained, held_out, sizes, distractors=others)
    what = f"{len(held_out):,} held-out summaries, each finding its text among {len(held_out) + len(others):,}"
    plot_scores(before, after, what, paths.plot)
    paths.scores.write_text(json.dumps({"what": what, "before": before, "after": after}, indent=2), encoding="utf-8")
    return before, after, what


def index_corpus(paths: Paths, report: Report) -> BuildResult:
    """Build an index with the trained model."""
    return build_index(Corpus([paths.corpus]), load_encoder(str(paths.model)), paths.index, resume=False, report=report)


def search(url: str, query: str, k: int = 3) -> tuple[dict[str, Any], float]:
    """Search over HTTP; return the answer and the milliseconds it took.

    Raises:
        httpx.HTTPError: the service did not answer, or answered with an error.
    """
    with httpx.Client(base_url=url, trust_env=False) as client:
        client.get("/healthz")  # opens the connection, so that the time below is that of the query
        started = time.perf_counter()
        answer = client.post("/v1/search", json={"query": query, "k": k, "explain": True})
        milliseconds = (time.perf_counter() - started) * 1e3
    answer.raise_for_status()
    value: dict[str, Any] = answer.json()
    return value, milliseconds


def _training(docstrings: Iterable[Docstring]) -> list[Pair]:
    return [Pair(found.summary, found.rest) for found in docstrings if found.is_pair and not found.held_out]


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
