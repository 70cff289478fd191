"""The command: ``python -m benchmarks.retrieval [prepare] [build] [measure] [plot] [--sets b] [--structures ours]``."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, machine
from benchmarks.retrieval import run
from benchmarks.retrieval.config import DATA_SETS, ROUNDS, STRUCTURES, DataSet, cache_folder, jobs
from benchmarks.retrieval.plot import IMAGES, plot_growth, plot_speed
from benchmarks.retrieval.tables import markdown

STAGES = ("prepare", "build", "measure", "plot")


def main() -> None:
    """Run the stages named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], help="all where none is named")
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--rows", nargs="+", type=int, help="only these numbers of rows of those configured")
    parser.add_argument("--structures", nargs="+", choices=STRUCTURES, help="only these, in this order")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cache", type=Path, help="default: MRL_BENCH_DIR, else .bench")
    options = parser.parse_args()
    cache, stages = cache_folder(options.cache), options.stages or STAGES
    for data_set in (DATA_SETS[name] for name in options.sets):
        chosen = _chosen(data_set, options.rows, options.structures)
        whole = chosen == jobs(data_set)
        if "prepare" in stages:
            run.prepare(cache, data_set, [rows for rows, _ in chosen])
        if "build" in stages:
            for rows, structures in chosen:
                run.build(cache, data_set, rows, structures)
        # A partial comparison is not a result and stays in the cache.
        path = (RESULTS if whole else cache) / f"retrieval_{data_set.name}.json"
        if "measure" in stages:
            _measure(cache, data_set, chosen, options.rounds, path)
        if "plot" in stages:
            _show(path, data_set, IMAGES if whole else cache)


def _chosen(data_set: DataSet, rows: list[int] | None, names: list[str] | None) -> list[run.Job]:
    chosen = []
    for count, structures in jobs(data_set):
        if rows is None or count in rows:
            kept = [STRUCTURES[name] for name in names if STRUCTURES[name] in structures] if names else structures
            if kept:
                chosen.append((count, kept))
    return chosen


def _measure(cache: Path, data_set: DataSet, chosen: list[run.Job], rounds: int, path: Path) -> None:
    results: dict[str, Any] = {
        "machine": machine(),
        "title": data_set.title,
        "dates": {},
        "rows": {},
    }
    for rows, structures in chosen:
        results["rows"][str(rows)] = run.compare(cache, data_set, rows, structures, rounds)
        results["dates"][str(rows)] = datetime.now(UTC).isoformat(timespec="minutes")
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _show(path: Path, data_set: DataSet, images: Path) -> None:
    results = json.loads(path.read_text(encoding="utf-8"))
    for rows, structures in results["rows"].items():
        print(f"\n### {results['title']}, {int(rows):,} rows\n\n{markdown(structures, int(rows))}")
        plot_speed(results, int(rows), images / f"retrieval_{data_set.name}_{rows}.png")
    plot_growth(results, images / f"retrieval_{data_set.name}_growth.png")
