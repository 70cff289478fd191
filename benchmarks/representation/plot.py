"""Charts like the paper's: accuracy by size, adaptive classification, retrieval, few-shot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_STYLES = {
    "mrl": ("MRL", "#1f6feb", "o-"),
    "mrl-e": ("MRL-E", "#8250df", "s-"),
    "ff": ("FF, a model for each size", "#d1562c", "^-"),
    "slimmable": ("slimmable", "#0a7f8c", "v-"),
    "pca": ("PCA of FF-D", "#2da44e", "o--"),
    "svd": ("SVD of FF-D's classifier", "#2da44e", "s:"),
    "random": ("random features of FF-D", "#57606a", "o--"),
    "truncation": ("FF-D truncated", "#b8860b", "o--"),
    "int8": ("int8 of FF, same bytes", "#c2408a", "D:"),
    "one bit": ("one bit of FF, same bytes", "#c2408a", "*:"),
}

Figures = dict[str, Any]


def plot_all(results: Figures, runs: Sequence[Figures], view: str, folder: Path) -> None:
    """Draw every chart of a view into a folder.

    Args:
        results: what :func:`benchmarks.representation.tables.summary` returned.
        runs: the results of each seed.
        view: name of a view of the test part.
        folder: an existing folder.
    """
    figures = results["views"][view]
    _accuracy(figures["accuracy"], folder / "representation_accuracy.png")
    curves = [run["views"][view]["adaptive"]["curve"] for run in runs]
    _adaptive(figures, curves, folder / "representation_adaptive.png")
    _retrieval(figures["retrieval"], folder / "representation_retrieval.png")
    _one_shot(figures["one_shot"], folder / "representation_one_shot.png")


def _accuracy(accuracy: Figures, path: Path) -> None:
    figure, (whole, close) = plt.subplots(1, 2, figsize=(11.0, 4.8), layout="constrained")
    for axes, methods in ((whole, list(_STYLES)), (close, ["mrl", "mrl-e", "ff", "slimmable", "int8"])):
        for method in methods:
            _line(axes, accuracy[method], *_STYLES[method])
        _sizes(axes, list(accuracy["mrl"]), "test top-1 (%)")
    close.set_title("the trained ones, closer", fontsize=10)
    whole.legend(frameon=False, fontsize=8, loc="lower right")
    _save(figure, path)


def _adaptive(results: Figures, curves: Sequence[list[Figures]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7.0, 4.8), layout="constrained")
    for method in ("mrl", "ff"):
        _line(axes, results["accuracy"][method], *_STYLES[method])
    for number, curve in enumerate(curves):
        points = [cascade["test"] for cascade in curve]
        for key, style, label in (("dims", "-", "last size used"), ("dims_summed", ":", "all sizes used, summed")):
            axes.plot(
                [point[key] for point in points],
                [100 * point["accuracy"] for point in points],
                style,
                color="#2da44e",
                alpha=0.7,
                label=None if number else f"adaptive MRL, {label}",
            )
    for policy, marker, label in (("budget", "*", "within D/14 dimensions"), ("ff", "X", "for FF-D's accuracy")):
        chosen = results["adaptive"][policy]
        axes.plot(
            chosen["dims"]["mean"],
            100 * chosen["accuracy"]["mean"],
            marker,
            color="#1a7f37",
            markersize=12,
            zorder=5,
            label=f"thresholds chosen on validation, {label}",
        )
    _sizes(axes, list(results["accuracy"]["mrl"]), "test top-1 (%)")
    axes.set_xlabel("expected dimensions")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _save(figure, path)


def _retrieval(scores: Sequence[Figures], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7.0, 4.8), layout="constrained")
    for stages, label, style in ((1, "single search", "o-"), (2, "shortlist at the size, rerank at D", "^-")):
        drawn = [score for score in scores if len(score["sizes"]) == stages]
        across = [score["multiply_adds"] for score in drawn]
        axes.plot(across, [100 * score["map@10"]["mean"] for score in drawn], style, label=label)
        for score, x in zip(drawn, across, strict=True):
            at = (x, 100 * score["map@10"]["mean"])
            axes.annotate(
                str(score["sizes"][0]), at, textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8
            )
    axes.set_xscale("log")
    axes.set_xlabel("multiply-adds a query")
    axes.set_ylabel("test mAP@10 over labels (%)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _save(figure, path)


def _one_shot(one_shot: Figures, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    _line(axes, one_shot, *_STYLES["mrl"])
    _sizes(axes, list(one_shot), "1-shot top-1 by the nearest class mean (%)")
    _save(figure, path)


def _line(axes: Axes, by_size: Figures, label: str, color: str, style: str) -> None:
    sizes = list(by_size)
    means = [100 * by_size[size]["mean"] for size in sizes]
    axes.plot(sizes, means, style, color=color, markersize=5, label=label)
    if all("low" in by_size[size] for size in sizes):
        low, high = ([100 * by_size[size][end] for size in sizes] for end in ("low", "high"))
        axes.fill_between(sizes, low, high, color=color, alpha=0.12, linewidth=0)


def _sizes(axes: Axes, sizes: Sequence[int], label: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("dimensions")
    axes.set_ylabel(label)


def _save(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=150)
    finally:
        plt.close(figure)
