"""Charts of the results: speed against recall, and latency against rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.retrieval.config import GROWING, STRUCTURES
from benchmarks.retrieval.tables import cost_at, frontier

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_LEAST_RECALL = 0.8
_GROWTH_RECALL = 0.95
_COLORS = {
    name: "#1f6feb" if name == "ours" else plt.get_cmap("tab20")(2 * number % 20 + (2 * number >= 20))
    for number, name in enumerate(STRUCTURES)
}


def plot_speed(results: dict[str, Any], rows: int, path: Path) -> None:
    """Draw queries per second against recall, with one query per call and as a batch, as a PNG."""
    figure, both = plt.subplots(1, 2, figsize=(13, 5.5), sharex=True, layout="constrained")
    for name, one in results["rows"][str(rows)].items():
        singly = [(recall, 1000 / ms) for recall, ms in frontier(one["points"])]
        inverse = [{**point, "batch": 1 / point["batch_qps"]} for point in one["points"]]
        batch = [(recall, 1 / seconds) for recall, seconds in frontier(inverse, "batch")]
        for axes, line in zip(both, (singly, batch), strict=True):
            shown = [point for point in line if point[0] >= _LEAST_RECALL]
            if shown:
                width = 3 if name == "ours" else 1.3
                axes.plot(
                    *zip(*shown, strict=True), "o-", markersize=3, lw=width, color=_COLORS[name], label=one["title"]
                )
    for axes, title in zip(both, ("one query a call, one thread", "1,000 queries a call, all threads"), strict=True):
        axes.set_yscale("log")
        axes.set_xlabel("recall@10")
        axes.set_ylabel("queries a second")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.25, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{results['title']}, {rows:,} rows", fontsize=11)
    both[1].legend(frameon=False, fontsize=7, loc="lower left")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def plot_growth(results: dict[str, Any], path: Path) -> None:
    """Draw the milliseconds of a query at one recall against the number of rows, as a PNG."""
    figure, axes = plt.subplots(figsize=(7.2, 4.5), layout="constrained")
    counts = sorted(map(int, results["rows"]))
    for name in GROWING:
        found = [(n, results["rows"][str(n)].get(name)) for n in counts]
        line = [(n, ms) for n, one in found if one and (ms := cost_at(one["points"], _GROWTH_RECALL))]
        if line:
            axes.plot(*zip(*line, strict=True), "o-", color=_COLORS[name], label=STRUCTURES[name].title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows")
    axes.set_ylabel(f"mean ms a query at recall@10 = {_GROWTH_RECALL}")
    axes.set_title(results["title"], fontsize=10)
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
