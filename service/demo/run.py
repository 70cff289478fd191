"""The steps of the demonstration."""

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
    """Where the demonstration keeps what it makes."""

    root: Path

    @property
    def corpus(self) -> Path:
        """The documents."""
        return self.root / "corpus.jsonl"

    @property
    def pairs(self) -> Path:
        """The training pairs."""
        return self.root / "pairs.jsonl"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.root / "model"

    @property
    def index(self) -> Path:
        """The index."""
        return self.root / "index"

    @property
    def plot(self) -> Path:
        """The picture."""
        return self.root / "ndcg.png"

    @property
    def scores(self) -> Path:
        """The measured scores as JSON."""
        return self.root / "ndcg.json"


def write_corpus(paths: Paths, most: int) -> list[Docstring]:
    """Read the docstrings and write corpus and training pairs as a user would have them: files of JSON Lines."""
    docstrings = read_docstrings(most)
    paths.root.mkdir(parents=True, exist_ok=True)
    documents = ({"_id": one.name, "title": one.name, "text": one.text, "kind": one.kind} for one in docstrings)
    _write_lines(paths.corpus, documents)
    training = (one for one in docstrings if one.is_pair and not one.held_out)
    _write_lines(paths.pairs, ({"query": one.summary, "document": one.rest} for one in training))
    return docstrings


def train_model(paths: Paths, docstrings: Iterable[Docstring], report: Report) -> TrainingResult:
    """Train on (summary line, rest of the docstring)."""
    pairs = [Pair(one.summary, one.rest) for one in docstrings if one.is_pair and not one.held_out]
    return train(pairs, BASE, paths.model, _OPTIONS, restart=paths.model.exists(), report=report)


def compare(paths: Paths, docstrings: Iterable[Docstring]) -> tuple[dict[int, float], dict[int, float], str]:
    """Measure base and trained model on the held-out pairs, among the documents of all pairs, and draw the picture.

    Returns:
        nDCG@10 by size before and after, and what was measured in words.
    """
    pairs = [one for one in docstrings if one.is_pair]
    held_out = [Pair(one.summary, one.rest) for one in pairs if one.held_out]
    others = [one.rest for one in pairs if not one.held_out]
    trained = load_encoder(str(paths.model))
    sizes = trained.nesting.sizes
    before = evaluate_pairs(load_encoder(BASE), held_out, sizes, distractors=others)
    after = evaluate_pairs(trained, held_out, sizes, distractors=others)
    what = f"{len(held_out):,} held-out summaries, each finding its text among {len(held_out) + len(others):,}"
    plot_scores(before, after, what, paths.plot)
    paths.scores.write_text(json.dumps({"what": what, "before": before, "after": after}, indent=2), encoding="utf-8")
    return before, after, what


def index_corpus(paths: Paths, report: Report) -> BuildResult:
    """Build the index with the trained model."""
    return build_index(Corpus([paths.corpus]), load_encoder(str(paths.model)), paths.index, resume=False, report=report)


def ask(url: str, query: str, k: int = 3) -> tuple[dict[str, Any], float]:
    """Send a query over HTTP; return the answer and the milliseconds it took.

    Raises:
        httpx.HTTPError: the service did not answer.
    """
    with httpx.Client(base_url=url, trust_env=False) as client:
        client.get("/healthz")  # so that the time below is a query's, not a connection's
        started = time.perf_counter()
        answer = client.post("/v1/search", json={"query": query, "k": k, "explain": True})
        milliseconds = (time.perf_counter() - started) * 1e3
    answer.raise_for_status()
    value: dict[str, Any] = answer.json()
    return value, milliseconds


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
