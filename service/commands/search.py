"""``mrl search``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from indexer import (
    Filter,
    FunnelStage,
    Fusion,
    Hit,
    HybridOptions,
    Index,
    Promise,
    SearchOptions,
    SecondLook,
    StopRule,
    parse_filter,
)
from models import InvalidOptionError
from service.commands.options import EXPLICIT_PLAN, Device, IndexPath, Json, ModelLocation, SearchEffort
from service.commands.output import note, print_json
from service.schemas.search import PlanOut


def search(
    index: IndexPath,
    query: Annotated[str | None, typer.Argument(help="Text to search for.", show_default=False)] = None,
    image: Annotated[Path | None, typer.Option(help="Image file to search for, if the model encodes images.")] = None,
    k: Annotated[int, typer.Option("-k", help="Number of results.")] = 10,
    recall: Annotated[
        float | None, typer.Option(help="Use the fastest calibrated plan with at least this recall.")
    ] = None,
    milliseconds: Annotated[
        float | None, typer.Option(help="Use the calibrated plan with the best recall within this latency.")
    ] = None,
    filter_json: Annotated[
        str | None,
        typer.Option("--filter", help='Return only documents that match: JSON, such as \'{"lang": "en"}\'.'),
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Also search by words (BM25) and fuse the results.")] = False,
    fusion: Annotated[
        str | None, typer.Option(help="Fusion of --hybrid: rrf (reciprocal ranks, the default) or weighted (scores).")
    ] = None,
    weight: Annotated[
        float | None, typer.Option(help="Weight of the vectors with --hybrid, 0 to 1; BM25 gets the rest.")
    ] = None,
    dims: Annotated[
        int | None,
        typer.Option(help="Prefix size of the shortlist. Default: the index's.", rich_help_panel=EXPLICIT_PLAN),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="Length of the shortlist (K). Default: the larger of 200 and 2k.", rich_help_panel=EXPLICIT_PLAN
        ),
    ] = None,
    rerank_dims: Annotated[
        int | None,
        typer.Option(
            help="Prefix size of the last rerank. Default: the full dimension.", rich_help_panel=EXPLICIT_PLAN
        ),
    ] = None,
    effort: SearchEffort = None,
    stages: Annotated[
        str | None,
        typer.Option(
            help="Rerank stages before the last one, as dims:candidates, such as 64:100,128:50.",
            rich_help_panel=EXPLICIT_PLAN,
        ),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(
            help="When the first rerank stops early: 'certified' (the results are proved unchanged), or a gap between "
            "a candidate's coarse score and the k-th one's.",
            rich_help_panel=EXPLICIT_PLAN,
        ),
    ] = None,
    second_look: Annotated[
        str | None,
        typer.Option(
            help="Search a second time, with more effort, if the best candidate scores below a threshold: "
            "score:effort, such as 0.4:800.",
            rich_help_panel=EXPLICIT_PLAN,
        ),
    ] = None,
    model: ModelLocation = None,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Search an index by a text or an image.

    A short prefix of the vectors selects a shortlist, which the full vectors rerank. By default the index's calibration
    chooses the plan; --recall or --milliseconds choose another one, and the options of an explicit plan set it in full.
    """
    if (query is None) == (image is None):
        raise typer.BadParameter("give either a text to search for or --image FILE")
    options = SearchOptions(
        k=k,
        dims=dims,
        candidates=candidates,
        effort=effort,
        rerank_dims=rerank_dims,
        stages=() if stages is None else parse_stages(stages),
        stop=None if stop is None else parse_stop(stop),
        second_look=None if second_look is None else parse_second_look(second_look),
        recall=recall,
        milliseconds=milliseconds,
        filter=None if filter_json is None else _filter(filter_json),
        hybrid=_hybrid(hybrid, fusion, weight),
    )
    with Index.open(index, model=model, device=device) as opened:
        if image is not None:
            found = opened.search_images([image], options)
        else:
            assert query is not None
            found = opened.search([query], options)
    if json_output:
        value: dict[str, Any] = {
            "results": [asdict(hit) for hit in found.hits[0]],
            "plan": PlanOut.from_plan(found.plan).model_dump(),
            "stages": [asdict(stage) for stage in found.stages],
        }
        print_json(value)
        return
    for number, hit in enumerate(found.hits[0], start=1):
        typer.echo(f"{number:>3}  {hit.score:.4f}  {headline(hit)}")
    for stage in found.stages:
        note(stage_line(asdict(stage)))
    if found.plan.promise is not None:
        note(promise_line(found.plan.promise))


def parse_stages(text: str) -> tuple[FunnelStage, ...]:
    """Parse rerank stages, such as ``64:100,128:50``.

    Raises:
        InvalidOptionError: the text is malformed.
    """
    try:
        return tuple(FunnelStage(*map(int, stage.split(":", 1))) for stage in text.split(","))
    except (TypeError, ValueError):
        raise InvalidOptionError("stages", f"--stages {text!r}: write dims:candidates, such as 64:100,128:50") from None


def parse_stop(text: str) -> StopRule:
    """Parse a stop rule: ``certified`` or a gap of scores.

    Raises:
        InvalidOptionError: the text is neither.
    """
    try:
        return StopRule(gap=None if text == "certified" else float(text))
    except ValueError:
        raise InvalidOptionError("stop", f"--stop {text!r}: write certified, or a gap such as 0.05") from None


def parse_second_look(text: str) -> SecondLook:
    """Parse a second look, such as ``0.4:800``.

    Raises:
        InvalidOptionError: the text is malformed.
    """
    below, _, effort = text.partition(":")
    try:
        values = float(below), int(effort)
    except ValueError:
        values = None
    if values is None or math.isinf(values[0]):  # JSON has no infinity
        raise InvalidOptionError("second_look", f"--second-look {text!r}: write score:effort, such as 0.4:800")
    return SecondLook(below=values[0], effort=values[1])


def headline(hit: Hit, width: int = 100) -> str:
    """Return a result's id and the start of its title or text, on one line."""
    text = next((hit.payload[name] for name in ("title", "text") if isinstance(hit.payload.get(name), str)), "")
    return " ".join(f"{hit.id}  {text if text != hit.id else ''}".split())[:width]


def stage_line(stage: dict[str, Any]) -> str:
    """Describe a stage, as the HTTP answer holds it, on one line."""
    counts = "" if stage["candidates_in"] is None else f"{stage['candidates_in']:,} → {stage['candidates_out']:,}"
    dims = f"{stage['dims']} dims" if stage["dims"] else ""
    line = (
        f"     {stage['name']:<10} {stage['milliseconds']:8.3f} ms  {dims:<15} {counts:<18} {stage['structure'] or ''}"
    )
    read = (
        "" if stage["read"] is None else f"read {stage['read']:.0f}{', certified' if stage['certified'] == 1 else ''}"
    )
    again = "" if stage["again"] is None else f"  second look: {stage['again']:.0%}"
    return f"{line}{read}{again}".rstrip()


def promise_line(promise: Promise) -> str:
    """Describe on one line what calibration measured of the plan, and whether it satisfies the request."""
    measured = (
        f"recall {promise.recall:.3f}, at least {promise.recall_low:.3f}, {promise.milliseconds:.3f} ms per query"
    )
    unmet = "" if promise.met else "; no calibrated plan satisfies the request, this is the closest"
    return f"     calibrated: {measured}{unmet}"


def _hybrid(enabled: bool, fusion: str | None, weight: float | None) -> HybridOptions | None:
    if not enabled and (fusion or weight is not None):
        raise typer.BadParameter("--fusion and --weight need --hybrid")
    defaults = HybridOptions()
    chosen = cast(Fusion, fusion or defaults.fusion)  # HybridOptions checks it
    return HybridOptions(fusion=chosen, weight=defaults.weight if weight is None else weight) if enabled else None


def _filter(text: str) -> Filter:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidOptionError("filter", f"--filter {text!r:.80} is not JSON: {error}") from None
    return parse_filter(value)
