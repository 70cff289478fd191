"""``mrl index calibrate``, and how calibrated plans are shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from indexer.calibration import CalibrationOptions, calibrate_index
from indexer.calibration.queries import read_queries
from indexer.storage.manifest import CalibratedPlan, CalibrationFacts
from models.errors import InvalidOptionError
from service.commands.output import note, print_json, print_table
from service.commands.progress import BuildProgress

_DEFAULTS = CalibrationOptions()


def calibrate(
    index: Annotated[Path, typer.Argument(help="The index directory.", show_default=False)],
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Queries such as users ask: JSON Lines with 'text' or 'query', or one a line. "
            "Default: hard ones made from the documents' words."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Time for it. Default: by the size of the index, at most a minute.")
    ] = None,
    k: Annotated[str, typer.Option(help="Numbers of results to measure for.")] = ",".join(map(str, _DEFAULTS.k)),
    confidence: Annotated[
        float, typer.Option(help="Probability with which a plan holds what it promises.")
    ] = _DEFAULTS.confidence,
    seed: Annotated[int, typer.Option(help="Decides which queries are drawn.")] = _DEFAULTS.seed,
    model: Annotated[str | None, typer.Option(help="Where the index's model is now, if it has moved.")] = None,
    device: Annotated[str, typer.Option(help="Where queries are encoded: auto, cpu or cuda.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print what was measured as JSON.")] = False,
) -> None:
    """Measure ways to search an index: what each finds, and how long it takes. Searches choose among the best ones.

    Every build does it at its end. Do it again with real queries, or on another machine.
    """
    options = CalibrationOptions(_lengths(k), seconds, confidence, seed)
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
    """Say in a line what was measured."""
    if facts is None:
        return "no; mrl index calibrate measures ways to search"
    queries = " and ".join(f"{count} of kind {kind!r}" for kind, count in facts.kinds.items())
    return (
        f"{facts.created:%Y-%m-%d %H:%M} UTC in {facts.seconds:.1f} s on {facts.cores} cores, "
        f"with queries {facts.queries}: {queries or 'none needed, a scan is the fastest'}; "
        f"bounds at confidence {facts.confidence}"
    )


def print_plans(plans: Iterable[CalibratedPlan]) -> None:
    """Print calibrated plans as a table; nothing where there is none."""
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
        names = ("k", "structure", "dimensions", "K", "effort", "gap", "again", "reranks", "recall", "at least", "ms")
        print_table(names, rows)


def second_look_text(plan: CalibratedPlan) -> str:
    """Write a plan's second look as score:effort, as ``mrl search --second-look`` takes it; nothing where none is."""
    look = plan.second_look
    return f"{look.below:.3f}:{look.effort}" if look else ""


def stages_text(plan: CalibratedPlan) -> str:
    """Write a plan's reranks as dimensions:candidates kept."""
    return "" if plan.exact else " → ".join(f"{stage.dims}:{stage.keep}" for stage in plan.stages)


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidOptionError("k", f"k {text!r}: give whole numbers separated by commas, such as 10,100") from None
