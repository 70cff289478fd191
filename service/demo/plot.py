"""Plot of the demonstration: quality against prefix size, before and after training."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def plot_scores(before: dict[int, float], after: dict[int, float], title: str, path: Path) -> None:
    """Plot nDCG@10 by prefix size, before and after training, as a PNG.

    Args:
        before, after: scores by prefix size, with the same sizes.
        title: title of the plot.
        path: file to write.
    """
    sizes = sorted(after)
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    try:
        lines = (
            (before, "base model", "#8a8f98", "o--"),
            (after, "after Matryoshka training", "#1f6feb", "o-"),
        )
        for scores, label, color, style in lines:
            axes.plot(sizes, [scores[size] for size in sizes], style, color=color, label=label, linewidth=2)
        for size in sizes:
            axes.annotate(
                f"{after[size] - before[size]:+.3f}",
                (size, after[size]),
                textcoords="offset points",
                xytext=(-5, 6),
                ha="right",
                fontsize=9,
                color="#1f6feb",
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.15)
        axes.set_ylim(0, min(1.0, max(after.values()) * 1.15))
        axes.set_xlabel("dimensions used (prefix, re-normalised)")
        axes.set_ylabel("nDCG@10")
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(path, dpi=150)
    finally:
        plt.close(figure)
