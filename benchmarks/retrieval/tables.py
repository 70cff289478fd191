"""Tables of the results: the latency of each structure at a recall.

The cost of a query is the mean, the inverse of queries per second. The median of a plan that searches twice for some
queries would ignore those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.retrieval.config import REFERENCE, TARGETS

Point = tuple[float, float]


def frontier(points: Sequence[dict[str, Any]], cost: str = "mean_ms") -> list[Point]:
    """Return (recall, cost) of the Pareto-optimal knobs, by rising recall and cost."""
    best: list[Point] = []
    for recall, least in sorted(
        ((point["recall"], point[cost]) for point in points), key=lambda one: (-one[0], one[1])
    ):
        if not best or least < best[-1][1]:
            best.append((recall, least))
    return best[::-1]


def cost_at(points: Sequence[dict[str, Any]], recall: float, cost: str = "mean_ms") -> float | None:
    """Return the cost of a recall, None if it is not reached.

    Costs between two knobs are interpolated on a logarithmic scale, so that the positions of a structure's knobs
    neither favour nor hurt it.
    """
    line = frontier(points, cost)
    above = next((number for number, (reached, _) in enumerate(line) if reached >= recall), None)
    if above is None:
        return None
    if above == 0:
        return line[0][1]
    (low, cheap), (high, dear) = line[above - 1 : above + 1]
    return math.exp(math.log(cheap) + (recall - low) / (high - low) * (math.log(dear) - math.log(cheap)))


def markdown(structures: dict[str, dict[str, Any]], rows: int) -> str:
    """Return a table of all structures: latency and speedup over the reference at each target, memory, disk, build."""
    reference = structures.get(REFERENCE, {"points": []})["points"]
    head = ["structure", *(f"ms at {target}" for target in TARGETS), "queries/s at 0.95, all threads"]
    head += ["resident B/vector", "mapped B/vector", "on disk B/vector", "build s"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for one in structures.values():
        memory, build = one["memory"], one["build"]
        batch = cost_at([{**point, "batch": 1 / point["batch_qps"]} for point in one["points"]], 0.95, "batch")
        lines.append(
            [
                one["title"],
                *(_cell(cost_at(one["points"], target), cost_at(reference, target)) for target in TARGETS),
                f"{1 / batch:,.0f}" if batch else "-",
                f"{memory['anonymous'] / rows:,.0f}",
                f"{memory['mapped'] / rows:,.0f}",
                f"{build['disk_bytes'] / rows:,.0f}",
                f"{build['seconds']:,.0f}{'*' if build['noisy'] else ''}",
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(milliseconds: float | None, reference: float | None) -> str:
    if milliseconds is None:
        return "-"
    ratio = f" ({reference / milliseconds:.1f}x)" if reference else ""
    return f"{milliseconds:.3f}{ratio}"
