"""``mrl index calibrate``, and the table of calibrated plans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from indexer import CalibratedPlan, CalibrationFacts, CalibrationOptions, calibrate_index, read_queries
from models import InvalidOptionError
from service.commands.options import Device, IndexPath, Json, ModelLocation
from service.commands.output import note, print_json, print_table
from service.commands.progress import BuildProgress

_DEFAULTS = CalibrationOptions()


def calibrate(
    index: IndexPath,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="File of representative queries: JSON Lines with 'text' or 'query', or one query per line. "
            "Default: hard queries synthesised from the documents' words."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Time budget. Default: by the size of the index, at most a minute.")
    ] = None,
    k: Annotated[str, typer.Option(help="Numbers of results to calibrate for.")] = ",".join(map(str, _DEFAULTS.k)),
    confidence: Annotated[
        float, typer.Option(help="Confidence level of the lower bounds on recall.")
    ] = _DEFAULTS.confidence,
    seed: Annotated[int, typer.Option(help="Random seed of the query sample.")] = _DEFAULTS.seed,
    model: ModelLocation = None,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Measure recall and latency of search plans, and keep the Pareto-optimal ones for searches to choose from.

    Every build ends with a calibration. Repeat it with queries of your users, or on another machine.
    """
    options = CalibrationOptions(k=_lengths(k), seconds=seconds, confidence=confidence, seed=seed)
    given = read_queries(queries) if queries else None
    with BuildProgress(0) as progress:
        manifest = calibrate_index(index, given, options, model=model, device=device, report=progress.report)
    assert manifest.calibration is not None
    if json_output:
        print_json(manifest.calibration.model_dump(mode="json"))
        return
    note(calibration_facts(manifest.calibration))
    print_plans(manifest.plans)


def calibration_facts(facts: CalibrationFacts | None) -> str:
    """Summarise a calibration in one line."""
    if facts is None:
        return "no; run mrl index calibrate to measure search plans"
    queries = " and ".join(f"{count} of kind {kind!r}" for kind, count in facts.kinds.items())
    return (
        f"{facts.created:%Y-%m-%d %H:%M} UTC in {facts.seconds:.1f} s on {facts.cores} cores, "
        f"with {facts.queries} queries: {queries or 'none needed, an exact scan is fastest'}; "
        f"lower bounds at confidence {facts.confidence}"
    )


def print_plans(plans: Iterable[CalibratedPlan]) -> None:
    """Print calibrated plans as a table; print nothing if there are none."""
    rows = [
        (
            str(plan.k),
            plan.structure,
            str(plan.dims),
            "" if plan.exact else str(plan.candidates),
            str(plan.effort or ""),
            "" if plan.gap is None else f"{plan.gap:.3f}",
            second_look_text(plan),
            stages_text(plan),
            f"{plan.recall:.4f}",
            f"{plan.recall_low:.4f}",
            f"{plan.milliseconds:.3f}",
        )
        for plan in plans
    ]
    if rows:
        names = ("k", "structure", "dims", "K", "effort", "gap", "second look", "reranks", "recall", "at least", "ms")
        print_table(names, rows)


def second_look_text(plan: CalibratedPlan) -> str:
    """Write a plan's second look as score:effort, as ``mrl search --second-look`` takes it; empty if it has none."""
    look = plan.second_look
    return f"{look.below:.3f}:{look.effort}" if look else ""


def stages_text(plan: CalibratedPlan) -> str:
    """Write a plan's rerank stages as dims:candidates kept."""
    return "" if plan.exact else " → ".join(f"{stage.dims}:{stage.keep}" for stage in plan.stages)


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidOptionError("k", f"k {text!r}: give integers separated by commas, such as 10,100") from None
