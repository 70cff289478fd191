"""Plot of calibrated plans: recall against latency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from indexer import CalibratedPlan

_COLORS = ("#1f6feb", "#d1562c", "#2da44e", "#8250df")
_LABELS = 3
"""Number of labelled plans per k, the last one aside."""


def plot_plans(plans: Sequence[CalibratedPlan], title: str, path: Path) -> None:
    """Plot the plans of each k as a PNG: mean recall with a line down to its lower bound, against latency.

    Args:
        plans: at least one plan.
        title: title of the plot.
        path: file to write.
    """
    figure, axes = plt.subplots(figsize=(8.0, 5.0), layout="constrained")
    try:
        for number, k in enumerate(sorted({plan.k for plan in plans})):
            _draw([plan for plan in plans if plan.k == k], k, number, axes)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        lowest = min(plan.recall_low for plan in plans)
        axes.set_ylim(max(0.0, lowest - 0.1 * (1 - lowest) - 0.01), 1 + 0.06 * (1 - lowest) + 0.003)
        axes.margins(x=0.12)
        axes.set_xlabel("latency in ms per query (one thread, without encoding)")
        axes.set_ylabel("recall against exact search, with lower bound")
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.25, which="both")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(path, dpi=150)
    finally:
        plt.close(figure)


def _draw(plans: Sequence[CalibratedPlan], k: int, number: int, axes: Axes) -> None:
    """Draw the plans of the ``number``-th k."""
    color = _COLORS[number % len(_COLORS)]
    times = [plan.milliseconds for plan in plans]
    recalls = [plan.recall for plan in plans]
    axes.plot(times, recalls, "o-", color=color, markersize=5, label=f"recall@{k}")
    axes.vlines(times, [plan.recall_low for plan in plans], recalls, color=color, alpha=0.4)
    axes.plot(times, [plan.recall_low for plan in plans], "_", color=color, markersize=8)
    step = max(1, -(-len(plans) // _LABELS))
    for place in sorted({*range(0, len(plans), step), len(plans) - 1}):
        # Right of the point, where the line has not been; the last label above it, or below it if another k, whose last
        # plan is most likely an exact scan too, already has that place.
        last = place == len(plans) - 1
        axes.annotate(
            _name(plans[place]),
            (times[place], recalls[place]),
            textcoords="offset points",
            xytext=(0, -4 - 11 * number if number else 7) if last else (7, -4),
            ha="center" if last else "left",
            fontsize=8,
            color=color,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )


def _name(plan: CalibratedPlan) -> str:
    if plan.exact:
        return "exact scan"
    effort = f", effort {plan.effort}" if plan.effort else ""
    effort += f", then {plan.second_look.effort}" if plan.second_look else ""
    return f"{plan.structure} {plan.dims}, K {plan.candidates}{effort}"
