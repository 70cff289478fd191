"""The service and vector databases: the same rows and queries, one client, each called as its users would."""

import gc
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq

from benchmarks.report import data_file
from benchmarks.retrieval.config import TRUTH
from benchmarks.retrieval.data import exact, recall
from benchmarks.retrieval.encoders import name_as_words
from benchmarks.retrieval.processes import isolated
from benchmarks.service.contenders import CONTENDERS, Contender, Corpus, Knob, Opened
from benchmarks.service.served import QUERIES, names
from models import load_encoder

ROUNDS = 3
TARGETS = (0.95, 0.99)
ALL_FOUND = 0.9995
_WARM_UP = 50
_LEAST = 30
_TIMES = tuple[list[float], np.ndarray]


def peers(root: Path, seconds: float) -> dict[str, Any]:
    """Build every contender's store, try its knobs, then measure the cheapest sufficient ones in turns.

    Args:
        root: the index whose rows are used.
        seconds: at most a sixth is spent on a knob, a twentieth on a point in a round; slow contenders get fewer
            queries.
    """
    present, left_out = _present()
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="peers-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        corpus, queries = _prepare(root.with_suffix(".parquet"), Path(folder))
        truth = exact(corpus.vectors, queries, TRUTH)
        stores: dict[str, dict[str, Any]] = {}
        racers = []
        for contender in present:
            store = Path(folder) / contender.store.replace(" ", "-")
            if contender.store not in stores:
                _say(f"{contender.store}: build")
                stores[contender.store] = isolated(_build, contender, corpus, store)
            racers.append(_Racer(contender, stores[contender.store]))
            racers[-1].start(stack, corpus, store, queries)

        def right(found: np.ndarray) -> float:
            return round(recall(corpus.vectors, queries, found, truth), 4)

        for racer in racers:
            racer.climb(right, seconds / 6)
        for turn in range(ROUNDS):
            _say(f"round {turn + 1} of {ROUNDS}")
            for racer in racers:
                racer.run(seconds / 20)
        for racer in racers:
            racer.weigh()
    return {
        "queries": len(queries),
        "k": 10,
        "load_average_before": [round(one, 2) for one in load],
        "contenders": {racer.contender.name: racer.result() for racer in racers},
        "left_out": left_out,
    }


def _present() -> tuple[list[Contender], dict[str, str]]:
    present, left_out = [], {}
    for contender in CONTENDERS:
        try:
            _ = contender.version
        except ImportError as error:
            left_out[contender.name] = f"not installed: {error}"
            _say(f"{contender.name} left out, {left_out[contender.name]}")
        else:
            present.append(contender)
    return present, left_out


def _prepare(table: Path, folder: Path) -> tuple[Corpus, np.ndarray]:
    """Encode rows and queries as the index does."""
    encoder = load_encoder("wordllama")
    vectors = encoder.encode_documents(pq.read_table(table, columns=["text"])["text"].to_pylist())
    np.save(folder / "vectors.npy", vectors)
    others = pq.read_table(data_file("packages.parquet"), columns=["id"])["id"].to_pylist()[
        -10 * QUERIES : -5 * QUERIES
    ]
    calibration = tuple(words for name in others if (words := name_as_words(name)))[:QUERIES]
    return Corpus(table, folder / "vectors.npy", calibration), encoder.encode_queries(names())


@dataclass
class _Point:
    """A knob, its recall, and the milliseconds of each round: (median, 95th percentile)."""

    knob: Knob
    recall: float
    ids: list[tuple[float, float]] = field(default_factory=list)
    payloads: list[tuple[float, float]] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"knob": self.knob, "recall": self.recall}
        for name, rounds in (("", self.ids), ("with_payload_", self.payloads)):
            median, p95 = np.median(rounds, axis=0)
            figures |= {f"{name}p50_ms": round(float(median), 4), f"{name}p95_ms": round(float(p95), 4)}
        return figures


class _Racer:
    """A contender in its own process, kept for the whole comparison."""

    def __init__(self, contender: Contender, store: dict[str, Any]) -> None:
        self.contender, self._store = contender, store
        self._ladder: list[dict[str, Any]] = []
        self._points: list[_Point] = []
        self._at: dict[str, _Point | None] = {}
        self._resident = 0.0

    def start(self, stack: ExitStack, corpus: Corpus, folder: Path, queries: np.ndarray) -> None:
        self._pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        self._pool.submit(_open, self.contender, corpus, folder, queries).result()
        stack.callback(lambda: self._pool.submit(_close).result())

    def climb(self, right: Any, seconds: float) -> None:
        """Try all knobs, and choose the fastest that reaches each target."""
        _say(f"{self.contender.name}: ladder")
        points = []
        for knob in self.contender.knobs:
            times, found = self._measure(knob, False, seconds)
            points.append((times[0], _Point(knob, right(found))))
            self._ladder.append({"knob": knob, "recall": points[-1][1].recall, "p50_ms": round(times[0], 4)})
            if points[-1][1].recall >= ALL_FOUND:
                break
        for target in TARGETS:
            reached = [one for one in points if one[1].recall >= target]
            self._at[str(target)] = min(reached, key=lambda one: one[0])[1] if reached else None
        for knob in self.contender.asked:
            times, found = self._measure(knob, False, seconds)
            self._at[f"asked for {knob}"] = _Point(knob, right(found))
        self._points = list({id(point): point for point in self._at.values() if point}.values())

    def run(self, seconds: float) -> None:
        """Measure each chosen point once."""
        for point in self._points:
            point.ids.append(self._measure(point.knob, False, seconds)[0])
            point.payloads.append(self._measure(point.knob, True, seconds)[0])

    def weigh(self) -> None:
        self._resident = self._pool.submit(_resident).result()

    def result(self) -> dict[str, Any]:
        return {
            "version": self.contender.version,
            "form": self.contender.form,
            **self._store,
            "resident_mb": self._resident,
            "at": {name: point.result() if point else "not reached" for name, point in self._at.items()},
            "ladder": self._ladder,
        }

    def _measure(self, knob: Knob, payload: bool, seconds: float) -> tuple[tuple[float, float], np.ndarray]:
        times, found = self._pool.submit(_search, knob, payload, seconds).result()
        return (float(np.median(times)), float(np.percentile(times, 95))), found


def _build(contender: Contender, corpus: Corpus, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    _ = corpus.vectors, corpus.ids, corpus.texts  # read before the clock starts
    started = time.perf_counter()
    contender.build(corpus, folder)
    taken = time.perf_counter() - started
    files = [path.stat() for path in contender.data(folder).rglob("*") if path.is_file()]
    return {"build_seconds": round(taken, 1), "disk_mb": round(sum(one.st_blocks * 512 for one in files) / 1e6, 1)}


# In the process of a contender:

_STACK = ExitStack()
_OPENED: Opened
_QUERIES: np.ndarray
_BEFORE: int


def _open(contender: Contender, corpus: Corpus, folder: Path, queries: np.ndarray) -> None:
    global _OPENED, _QUERIES, _BEFORE
    _ = corpus.rows  # is not part of a store
    _QUERIES, _BEFORE = queries, _proportional(psutil.Process())
    _OPENED = _STACK.enter_context(contender.opened(corpus, folder))


def _search(knob: Knob, payload: bool, seconds: float) -> _TIMES:
    """Search with one query per call; return milliseconds, and rows of shape (n, k), -1 for missing results."""
    search = _OPENED.searcher(knob, payload)
    for query in _QUERIES[-_WARM_UP:]:
        search(query)
    times, answers = [], []
    gc.collect()
    gc.disable()
    deadline = time.perf_counter() + seconds
    for query in _QUERIES:
        start = time.perf_counter()
        answer = search(query)
        end = time.perf_counter()
        times.append((end - start) * 1e3)
        answers.append(_OPENED.rows(answer))
        if end > deadline and len(times) >= _LEAST:
            break
    gc.enable()
    found = np.full((len(answers), 10), -1)
    for row, answer in zip(found, answers, strict=True):
        row[: len(answer)] = answer
    return times, found


def _resident() -> float:
    """Resident megabytes of the processes that hold the store, mapped files and shared buffers included."""
    if others := _OPENED.processes():
        return round(sum(map(_proportional, others)) / 1e6, 1)
    return round((_proportional(psutil.Process()) - _BEFORE) / 1e6, 1)


def _close() -> None:
    _STACK.close()


def _proportional(process: psutil.Process) -> int:
    return process.memory_full_info().pss


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
