"""Do calibrated plans keep their promise on queries that calibration never saw?

Every index is calibrated with several seeds, both with queries sampled from the corpus and with half of the real
queries. Every plan is then run over the held-out real queries. A plan keeps its promise if its mean recall over them is
at or above its lower bound.

Cranfield and CISI are so small that a scan is the fastest plan, and the only one chosen. There, cost is counted in
multiply-adds, as if there were many rows, so that plans with less than full recall are chosen.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import data_file, save
from indexer import BuildOptions, Corpus, SearchOptions, build_index
from indexer.calibration import CalibrationOptions, choose_plan
from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.measure import Meter
from indexer.calibration.queries import QuerySet
from indexer.calibration.run import Calibration
from indexer.kernels.threads import cores
from indexer.plan import SCAN, Plan
from indexer.progress import silent
from indexer.search.generation import OpenedGeneration
from indexer.storage.manifest import CalibratedPlan
from models.encoders.base import Encoder
from models.encoders.load import load_encoder
from models.nesting import Vectors, truncate

SEEDS = 5
TARGETS = (0.8, 0.9, 0.95, 0.99)
UNSEEN_NAMES = 5000


class WorkMeter(Meter):
    """Counts millions of multiply-adds instead of milliseconds."""

    def __init__(self, opened: OpenedGeneration, queries: Vectors) -> None:
        super().__init__(opened.ranker, cores())
        self._opened, self._queries = opened, queries
        self._known: dict[Plan, float] = {}

    def _seconds(self, query: Vectors, plan: Plan) -> float:
        if plan not in self._known:
            self._known[plan] = self._work(plan) / 1e9
        return self._known[plan]

    def _work(self, plan: Plan) -> float:
        looked_at = float(len(self._opened.vectors))
        if plan.structure != SCAN:
            looked_at = self._looked_at(plan, plan.effort)
            # Costs are measured with a second look for every query, or for none.
            looked_at += self._looked_at(plan, plan.second_look.effort) if plan.second_look else 0
        if plan.single:
            return looked_at * plan.dims
        taken = [plan.candidates, *(stage.keep for stage in plan.stages[:-1])]
        return looked_at * plan.dims + sum(n * stage.dims for n, stage in zip(taken, plan.stages, strict=True))

    def _looked_at(self, plan: Plan, effort: int | None) -> float:
        return self._opened.shortlist.comparisons(truncate(self._queries, plan.dims), plan.candidates, effort)


def plan_of(calibrated: CalibratedPlan, rows: int) -> Plan:
    return replace(choose_plan([calibrated], SearchOptions(k=calibrated.k), rows), promise=None)


def check(
    opened: OpenedGeneration,
    encoder: Encoder,
    answered: QueriesWithAnswers,
    given: int,
    seed: int,
    seconds: float | None,
) -> list[dict[str, Any]]:
    """Calibrate once, then run every plan, and the plan chosen for each target, over the held-out real queries."""
    real = answered.queries.vectors
    order = np.random.default_rng(seed).permutation(len(real))
    known, unseen = real[order[:given]], [answered.part(order[given:])]
    options = CalibrationOptions(seconds=seconds, seed=seed)
    calibration = Calibration(opened, encoder, known if given else None, options, silent)
    if not calibration.worthwhile:
        calibration.worthwhile, calibration.meter = True, WorkMeter(opened, real[:50])
    facts = calibration.run()
    found: dict[CalibratedPlan, float] = {}
    for plan in facts.plans:
        if not plan.exact:
            found[plan] = calibration.meter.recalls(plan_of(plan, len(opened.vectors)), unseen).mean
    print(f"  seed {seed}: {facts.kinds}, {facts.seconds} s", file=sys.stderr)
    for plan, achieved in found.items():
        mark = "" if achieved >= plan.recall_low else "   BROKEN"
        print(
            f"    k {plan.k} {plan.structure} {plan.dims} K {plan.candidates} effort {plan.effort} "
            f"stages {len(plan.stages)}{_again(plan)}: measured {plan.recall:.4f} promised {plan.recall_low:.4f} "
            f"achieved {achieved:.4f} in {plan.milliseconds:.4f}{mark}",
            file=sys.stderr,
        )
    return [*map(_plan_result, found, found.values()), *_targets(facts.plans, found, len(opened.vectors))]


def _again(plan: CalibratedPlan) -> str:
    look = plan.second_look
    return f", again below {look.below:.3f} with {look.effort}" if look else ""


def _plan_result(plan: CalibratedPlan, achieved: float) -> dict[str, Any]:
    return {"k": plan.k, "promised": plan.recall_low, "achieved": achieved}


def _targets(plans: Sequence[CalibratedPlan], found: dict[CalibratedPlan, float], rows: int) -> list[dict[str, Any]]:
    chosen = []
    for target in TARGETS:
        promise = choose_plan(plans, SearchOptions(recall=target), rows).promise
        own = next(
            one for one in plans if (one.recall_low, one.milliseconds) == (promise.recall_low, promise.milliseconds)
        )
        chosen.append({"target": target, "exact": own.exact, "achieved": found.get(own, 1.0)})
    return chosen


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    plans = [one for one in results if "promised" in one]
    over = np.array([one["achieved"] - one["promised"] for one in plans])
    targets = {}
    for target in TARGETS:
        own = [one for one in results if one.get("target") == target]
        targets[str(target)] = {
            "held": round(float(np.mean([one["achieved"] >= target for one in own])), 4),
            "by_an_exact_scan": round(float(np.mean([one["exact"] for one in own])), 4),
            "mean_achieved": round(float(np.mean([one["achieved"] for one in own])), 4),
        }
    return {
        "plans": len(plans),
        "held": round(float(np.mean(over >= 0)), 4) if plans else None,
        "mean_over_promise": round(float(over.mean()), 4) if plans else None,
        "worst": round(float(over.min()), 4) if plans else None,
        "targets": targets,
    }


def judged(name: str) -> tuple[Path, list[str]]:
    folder = data_file(name)
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return folder, [json.loads(line)["text"] for line in lines]


def packages(rows: int, folder: Path) -> tuple[Path, list[str]]:
    import pyarrow.parquet as pq

    table = pq.read_table(data_file("packages.parquet"))
    unseen = table.column("id")[-UNSEEN_NAMES:].to_pylist()
    path = folder / "packages.parquet"
    pq.write_table(table.slice(0, min(rows, len(table) - UNSEEN_NAMES)), path)
    # "pypi:django-cotton-bs5" becomes the query "django cotton bs5".
    names = [re.sub(r"[^A-Za-z0-9]+", " ", name.split(":", 1)[-1]).strip() for name in unseen]
    return path, [name for name in names if name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="of the packages")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--seconds", type=float, help="for each calibration; by the size of the index where not given")
    parser.add_argument("--structures", default="hnsw:128,symqg:256", help="kind:dims, separated by commas")
    parser.add_argument("--sets", default="cranfield,cisi,packages")
    parser.add_argument("--model", default="wordllama")
    parser.add_argument("--save", default="promises", help="name of the results")
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    results: dict[str, Any] = {}
    everything: list[dict[str, Any]] = []
    for name in options.sets.split(","):
        for structure in options.structures.split(","):
            kind, dims = structure.split(":")
            with tempfile.TemporaryDirectory() as folder:
                source, texts = packages(options.rows, Path(folder)) if name == "packages" else judged(name)
                build = BuildOptions(dims=int(dims), shortlist=kind, calibration=None)
                built = build_index(Corpus([source]), encoder, Path(folder) / "index", build)
                opened = OpenedGeneration(built.path)
                queries = QuerySet.of("real", encoder.encode_queries(texts))
                answered = QueriesWithAnswers.of(queries, opened.vectors, 100, cores())
                for mode, given in (("sampled", 0), ("half of the queries given", len(queries) // 2)):
                    print(f"{name} {structure} {mode}", file=sys.stderr)
                    found = [
                        measured
                        for seed in range(options.seeds)
                        for measured in check(opened, encoder, answered, given, seed, options.seconds)
                    ]
                    everything += found
                    results[f"{name}, {structure}, {mode}"] = summary(found)
                opened.close()
    save(
        options.save,
        {
            "model": Path(options.model).name,
            "package_rows": options.rows,
            "seeds": options.seeds,
            "confidence": CalibrationOptions().confidence,
            "all": summary(everything),
            "sets": results,
        },
    )


if __name__ == "__main__":
    main()
