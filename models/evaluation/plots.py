"""Plots of evaluations in the style of the paper's figures: quality against dimensions and against multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.evaluation.few_shot import Interval
from models.evaluation.labels import Evaluation, SizeScore
from models.evaluation.retrieval import RetrievalScore

COLORS = ("#1f6feb", "#d1562c", "#2da44e", "#8250df", "#b8860b", "#0a7f8c", "#c2408a", "#57606a")

_BY_SIZE: dict[str, tuple[str, Callable[[SizeScore], float | None]]] = {
    "linear": ("linear probe top-1 (%)", lambda score: score.linear),
    "nearest": ("1-NN top-1 (%)", lambda score: score.retrieval.top1),
    "map": ("mAP@10 (%)", lambda score: score.retrieval.map),
}


def plot_evaluations(evaluations: Mapping[str, Evaluation], directory: str | Path, title: str) -> list[Path]:
    """Write the plots that the evaluations have results for, as PNG files.

    Args:
        evaluations: at least one, by the name shown in the legend.
        directory: created if missing. Receives ``linear.png``, ``nearest.png`` and ``map.png`` (MRL, figures 2, 3 and
            7), and for the first evaluation ``few_shot.png`` and ``retrieval.png`` (figure 8).
        title: names the data.

    Returns:
        The files written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (label, value) in _BY_SIZE.items():
        drawn = {
            model: [(score, y) for score in evaluation.sizes if (y := value(score)) is not None]
            for model, evaluation in evaluations.items()
        }
        if any(drawn.values()):
            written.append(directory / f"{name}.png")
            _plot_by_size(drawn, label, title, written[-1])
    model, first = next(iter(evaluations.items()))
    if any(score.few_shot for score in first.sizes):
        written.append(directory / "few_shot.png")
        _plot_few_shot(first, f"{model}: {title}", written[-1])
    if first.retrieval:
        written.append(directory / "retrieval.png")
        _plot_retrieval(first, f"{model}: {title}", written[-1])
    return written


def _plot_by_size(drawn: Mapping[str, list[tuple[SizeScore, float]]], label: str, title: str, path: Path) -> None:
    figure, axes = _canvas(title, "dimensions used (prefix, re-normalised)", label)
    for number, (model, points) in enumerate(drawn.items()):
        color = COLORS[number % len(COLORS)]
        axes.plot([score.size for score, _ in points], [100 * y for _, y in points], "-", color=color, linewidth=1.8)
        given = [(score.size, 100 * y) for score, y in points if not score.interpolated]
        axes.plot(*zip(*given, strict=True), "o", color=color, markersize=6, label=model)
        middle = [(score.size, 100 * y) for score, y in points if score.interpolated]
        if middle:
            name = "interpolated sizes" if number == len(drawn) - 1 else None
            axes.plot(*zip(*middle, strict=True), "o", color=color, markerfacecolor="white", markersize=5, label=name)
    _ticks(axes, [score.size for points in drawn.values() for score, _ in points if not score.interpolated])
    _save(figure, axes, path)


def _plot_few_shot(evaluation: Evaluation, title: str, path: Path) -> None:
    figure, axes = _canvas(title, "dimensions used (prefix, re-normalised)", "nearest class mean top-1 (%)")
    given = [score for score in evaluation.sizes if not score.interpolated]
    sizes = [score.size for score in given]
    for number, shots in enumerate(reversed(given[0].few_shot)):
        intervals: list[Interval] = [score.few_shot[shots] for score in given]
        color = COLORS[number % len(COLORS)]
        label = f"{shots} shot{'s' if shots > 1 else ''}"
        axes.plot(sizes, [100 * interval.mean for interval in intervals], "o-", color=color, linewidth=1.8, label=label)
        low, high = [100 * interval.low for interval in intervals], [100 * interval.high for interval in intervals]
        axes.fill_between(sizes, low, high, color=color, alpha=0.18, linewidth=0)
    _ticks(axes, sizes)
    _save(figure, axes, path)


def _plot_retrieval(evaluation: Evaluation, title: str, path: Path) -> None:
    figure, axes = _canvas(title, "multiply-adds per query, including reranks", "mAP@10 (%)")
    axes.set_xscale("log")
    axes.margins(y=0.1)  # room for the labels
    dimension = max(score.size for score in evaluation.sizes)
    singles = [score.retrieval for score in evaluation.sizes if not score.interpolated]
    adaptive = [score for score in evaluation.retrieval if score.plan.kind == "adaptive"]
    full = [score for score in adaptive if score.plan.sizes[1] == dimension]
    funnels = [score for score in evaluation.retrieval if score.plan.kind == "funnel"]
    _line(axes, singles, "single search at d", "#57606a", "o--", "d", (0, -13))
    label = f"adaptive: {full[0].plan.keeps[0]} by Ds, reranked by {dimension}"
    _line(axes, full, label, COLORS[0], "s-", "Ds", (-4, 8))
    if funnels:
        keeps = "→".join(map(str, funnels[0].plan.keeps))
        _line(axes, funnels, f"funnel from Ds: {keeps}", COLORS[1], "^-", "", (0, 0))
    shorter = [score for score in adaptive if score.plan.sizes[1] < dimension]
    if shorter:
        points = [(score.multiply_adds, 100 * score.map) for score in shorter]
        axes.plot(*zip(*points, strict=True), ".", color=COLORS[0], alpha=0.4, label="adaptive, shorter Dr", zorder=1)
    axes.axhline(100 * singles[-1].map, color="#57606a", linewidth=0.8, linestyle=":", zorder=0)
    _save(figure, axes, path)


def _line(
    axes: Axes,
    scores: Sequence[RetrievalScore],
    label: str,
    color: str,
    style: str,
    prefix: str,
    offset: tuple[int, int],
) -> None:
    points = [(score.multiply_adds, 100 * score.map) for score in scores]
    axes.plot(*zip(*points, strict=True), style, color=color, markersize=6, linewidth=1.6, label=label)
    if not prefix:
        return
    for number, (score, point) in enumerate(zip(scores, points, strict=True)):
        text = f"{prefix} {score.plan.sizes[0]}" if number == 0 else str(score.plan.sizes[0])
        axes.annotate(text, point, textcoords="offset points", xytext=offset, ha="center", fontsize=8, color=color)


def _canvas(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _ticks(axes: Axes, sizes: Sequence[int]) -> None:
    ticks = sorted(set(sizes))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(size) for size in ticks])
    axes.minorticks_off()
    axes.set_xlim(ticks[0] / 1.2, ticks[-1] * 1.2)


def _save(figure: Figure, axes: Axes, path: Path) -> None:
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    try:
        figure.savefig(path, dpi=150)
    finally:
        plt.close(figure)
