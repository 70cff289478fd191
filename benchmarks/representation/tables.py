"""Figures of all seeds combined, and the paper's claims checked against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.representation.config import Settings
from models.evaluation.few_shot import Interval

Figures = dict[str, Any]


def spread(values: Sequence[float]) -> Figures:
    """Mean over seeds with its 95 % interval (none for a single seed), and the values."""
    if len(values) == 1:
        return {"mean": values[0], "values": list(values)}
    return {**Interval.of(values).to_json(), "values": list(values)}


def summary(runs: Sequence[Figures], settings: Settings) -> Figures:
    """Combine the seeds: validation accuracy, and all figures of each view of the test part.

    Args:
        runs: what :func:`benchmarks.representation.run.measure_seed` returned.
        settings: what they were measured with.
    """
    views = {view: [run["views"][view] for run in runs] for view in runs[0]["views"]}
    return {
        "validation": _by_size([run["validation"] for run in runs]),
        "views": {view: _view(ones, settings) for view, ones in views.items()},
    }


def _view(runs: Sequence[Figures], settings: Settings) -> Figures:
    first = runs[0]
    return {
        "accuracy": _by_size([run["accuracy"] for run in runs]),
        "adaptive": {
            target: {
                figure: spread([run["adaptive"]["chosen"][target]["test"][figure] for run in runs])
                for figure in ("accuracy", "dims", "dims_summed")
            }
            for target in first["adaptive"]["chosen"]
        },
        "retrieval": [
            {
                **{key: score[key] for key in ("sizes", "candidates", "scan_multiply_adds", "multiply_adds")},
                "map@10": spread([run["retrieval"][place]["map@10"] for run in runs]),
                "top1": spread([run["retrieval"][place]["top1"] for run in runs]),
            }
            for place, score in enumerate(first["retrieval"])
        ],
        "one_shot": {size: spread([run["one_shot"][size] for run in runs]) for size in first["one_shot"]},
        "claims": claims(runs, settings),
    }


def _by_size(accuracies: Sequence[Figures]) -> Figures:
    return {
        method: {size: spread([one[method][size] for one in accuracies]) for size in by_size}
        for method, by_size in accuracies[0].items()
    }


def claims(runs: Sequence[Figures], settings: Settings) -> list[Figures]:
    """Check the paper's claims against their bounds. Differences are in points and paired by seed.

    Args:
        runs: a view of each seed.
        settings: what they were measured with.
    """
    dimension, sizes = settings.nesting.dimension, settings.nesting.sizes
    found = []

    def claim(name: str, values: Sequence[float], bound: float, at_most: bool = False) -> None:
        figure = spread(values)
        holds = figure["mean"] <= bound if at_most else figure["mean"] >= bound
        found.append({"claim": name, **figure, "bound": bound, "at_most": at_most, "holds": holds})

    def points(method: str, other: str, size: int) -> list[float]:
        return [100 * (run["accuracy"][method][size] - run["accuracy"][other][size]) for run in runs]

    for size in sizes:
        claim(f"MRL - FF at {size}", points("mrl", "ff", size), -0.5)
    for size in sizes:
        if size >= 32:
            claim(f"MRL-E - MRL at {size}", points("mrl-e", "mrl", size), -1.0)
    full = [run["accuracy"]["ff"][dimension] for run in runs]
    for policy, name in (
        ("budget", "adaptive within D/14"),
        ("ff", f"adaptive for FF-{dimension}'s validation accuracy"),
    ):
        chosen = [run["adaptive"]["chosen"][policy]["test"] for run in runs]
        differences = [100 * (one["accuracy"] - other) for one, other in zip(chosen, full, strict=True)]
        claim(f"{name} - FF-{dimension}", differences, 0.0)
        claim(f"{name}: dimensions", [one["dims"] for one in chosen], settings.claimed_dims, at_most=True)
        claim(f"{name}: sizes used, summed", [one["dims_summed"] for one in chosen], dimension, at_most=True)
    by_plan = [{tuple(score["sizes"]): score["map@10"] for score in run["retrieval"]} for run in runs]
    plan = (settings.shortlist, dimension)
    claim(
        f"AR {plan[0]} to {plan[1]} - single {dimension}, mAP@10",
        [100 * (scores[plan] - scores[(dimension,)]) for scores in by_plan],
        -0.2,
    )
    claim(
        f"1-shot at {settings.few_shot_size} - at {dimension}",
        [100 * (run["one_shot"][settings.few_shot_size] - run["one_shot"][dimension]) for run in runs],
        -1.0,
    )
    return found


def text(results: Figures) -> str:
    """The accuracies and claims of every view, as Markdown."""
    lines = _accuracies("validation", results["validation"])
    for view, figures in results["views"].items():
        lines += ["", *_accuracies(f"test, {view}", figures["accuracy"]), ""]
        lines += ["| claim | measured | bound | holds |", "|---|---|---|---|"]
        for one in figures["claims"]:
            interval = f" ({one['low']:+.2f} to {one['high']:+.2f})" if "low" in one else ""
            bound = f"{'≤' if one['at_most'] else '≥'} {one['bound']:.1f}"
            lines.append(
                f"| {one['claim']} | {one['mean']:+.2f}{interval} | {bound} | {'yes' if one['holds'] else 'no'} |"
            )
    return "\n".join(lines)


def _accuracies(title: str, accuracy: Figures) -> list[str]:
    sizes = list(accuracy["mrl"])
    lines = [f"| {title}: top-1, % | " + " | ".join(map(str, sizes)) + " |", "|---|" + "---|" * len(sizes)]
    for method, by_size in accuracy.items():
        cells = [f"{100 * by_size[size]['mean']:.1f}" if size in by_size else "" for size in sizes]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return lines
