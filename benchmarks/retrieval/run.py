"""Prepare, build and measure: in which order, and what goes into the results."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.retrieval.builds import ensure, record
from benchmarks.retrieval.config import CORES, DataSet, Structure
from benchmarks.retrieval.data import Data
from benchmarks.retrieval.processes import isolated
from benchmarks.retrieval.timing import measure

_TIMES = ("median_ms", "p95_ms", "mean_ms", "batch_qps")

Job = tuple[int, list[Structure]]


def prepare(cache: Path, data_set: DataSet, rows: Sequence[int]) -> None:
    """Compute vectors, queries and exact neighbours."""
    data = Data(data_set, cache)
    for count in rows:
        data.truth(count)
    data.truth(data_set.compared, "calibration")


def build(cache: Path, data_set: DataSet, rows: int, structures: Sequence[Structure]) -> None:
    """Build missing structures one after another; those that cannot be built are reported and skipped."""
    for structure in structures:
        try:
            facts = ensure(cache, data_set, rows, structure)
        except (BrokenProcessPool, ImportError, NotImplementedError, RuntimeError) as error:
            _say(f"set {data_set.name}, {rows} rows: {structure.name} not built: {error!r}")
            continue
        _say(
            f"set {data_set.name}, {rows} rows: {structure.name} built in {facts['seconds']} s"
            f"{' (noisy)' if facts['noisy'] else ''}, {facts['disk_bytes'] / rows:.0f} bytes a row"
        )


def compare(
    cache: Path, data_set: DataSet, rows: int, structures: Sequence[Structure], rounds: int
) -> dict[str, dict[str, Any]]:
    """Measure built structures in rounds, each round starting with a different one.

    Other load on the machine thereby affects all structures equally.

    Returns:
        by structure: its build, its memory, and the medians over the rounds for each knob.
    """
    there = [one for one in structures if record(cache, data_set, rows, one)]
    for one in structures:
        if one not in there:
            _say(f"set {data_set.name}, {rows} rows: {one.name} is not built and left out")
    turns: dict[str, list[dict[str, Any]]] = {one.name: [] for one in there}
    for number in range(rounds):
        first = number * len(there) // rounds
        for structure in (*there[first:], *there[:first]):
            start = time.monotonic()
            try:
                turns[structure.name].append(isolated(measure, cache, data_set.name, rows, structure.name))
            except (BrokenProcessPool, RuntimeError) as error:
                _say(f"{structure.name} failed: {error!r}")
                continue
            _say(
                f"set {data_set.name}, {rows} rows, round {number + 1} of {rounds}: {structure.name} measured in "
                f"{time.monotonic() - start:.0f} s, others had {turns[structure.name][-1]['others']:.0%} of the cores"
            )
    return {
        one.name: {
            "title": one.title,
            "build": record(cache, data_set, rows, one),
            **merge(turns[one.name]),
        }
        for one in there
        if turns[one.name]
    }


def merge(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Take the medians over a structure's rounds; ``spread_ms`` keeps the smallest and the largest median."""
    points = []
    for same in zip(*(turn["points"] for turn in turns), strict=False):
        medians = {name: round(float(np.median([point[name] for point in same])), 5) for name in _TIMES}
        spread = [round(bound(point["median_ms"] for point in same), 5) for bound in (min, max)]
        points.append(
            {
                "knob": same[0]["knob"],
                "recall": round(float(np.median([point["recall"] for point in same])), 5),
                "queries": min(point["queries"] for point in same),
                **medians,
                "spread_ms": spread,
            }
        )
    memory = {name: int(np.median([turn["memory"][name] for turn in turns])) for name in turns[0]["memory"]}
    return {
        "memory": memory,
        "others": [turn["others"] for turn in turns],
        "threads": CORES,
        "points": points,
    }


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)
