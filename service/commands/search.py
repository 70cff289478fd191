"""``mrl search``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from indexer import Hit, HybridOptions, Index, SearchOptions
from indexer.filters import Filter, parse_filter
from indexer.plan import FunnelStage, Fusion, Promise, SecondLook, StopRule
from models.errors import InvalidOptionError
from service.commands.output import note, print_json
from service.schemas.search import PlanOut


def search(
    index: Annotated[Path, typer.Argument(help="The index directory.", show_default=False)],
    query: Annotated[str | None, typer.Argument(help="The text to search for.", show_default=False)] = None,
    image: Annotated[
        Path | None, typer.Option(help="Search for what is like this image file; with a model that encodes images.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Results wanted.")] = 10,
    dims: Annotated[int | None, typer.Option(help="Size of the shortlist's prefix. Default: the index's.")] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Length of the shortlist. Default: the larger of 200 and 2k.")
    ] = None,
    rerank_dims: Annotated[
        int | None, typer.Option(help="Size the shortlist is ranked by. Default: the full size.")
    ] = None,
    effort: Annotated[int | None, typer.Option(help="How hard the structure looks (HNSW: efSearch).")] = None,
    stages: Annotated[
        str | None,
        typer.Option(help="Reranks before the last one, as dimensions:candidates, such as 64:100,128:50."),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(help="Candidates left unread: 'certified', or a gap of scores under the k-th candidate's."),
    ] = None,
    second_look: Annotated[
        str | None,
        typer.Option(
            help="Search again for a query whose best candidate scores under a number, with more effort: as "
            "score:effort, such as 0.4:800."
        ),
    ] = None,
    recall: Annotated[
        float | None, typer.Option(help="Recall wanted: the fastest calibrated plan that holds it is taken.")
    ] = None,
    milliseconds: Annotated[
        float | None, typer.Option(help="Time a search may take: the calibrated plan of the best recall is taken.")
    ] = None,
    filter_json: Annotated[
        str | None,
        typer.Option("--filter", help='Only documents that match are found: JSON such as \'{"lang": "en"}\'.'),
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Search by the words of the text too.")] = False,
    fusion: Annotated[
        str | None, typer.Option(help="How --hybrid joins the two: rrf, by ranks (default), or weighted, by scores.")
    ] = None,
    weight: Annotated[
        float | None, typer.Option(help="Of the vectors in a hybrid search, 0 to 1; the words have the rest.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Where the index's model is now, if it has moved.")] = None,
    device: Annotated[str, typer.Option(help="Where the query is encoded: auto, cpu or cuda.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print results, plan and stages as JSON.")] = False,
) -> None:
    """Search an index by a text or an image: a shortlist by a short prefix, then ranked by the full vectors."""
    if (query is None) == (image is None):
        raise typer.BadParameter("give a text to search for, or --image FILE, and not both")
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
            "plan": PlanOut.of(found.plan).model_dump(),
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
    """Read a funnel such as ``64:100,128:50``.

    Raises:
        InvalidOptionError: it is not written like that.
    """
    try:
        return tuple(FunnelStage(*map(int, stage.split(":", 1))) for stage in text.split(","))
    except (TypeError, ValueError):
        raise InvalidOptionError(
            "stages", f"--stages {text!r}: write dimensions:candidates, such as 64:100,128:50"
        ) from None


def parse_stop(text: str) -> StopRule:
    """Read a stop rule: ``certified`` or a gap.

    Raises:
        InvalidOptionError: it is neither.
    """
    try:
        return StopRule(gap=None if text == "certified" else float(text))
    except ValueError:
        raise InvalidOptionError("stop", f"--stop {text!r}: write certified, or a gap such as 0.05") from None


def parse_second_look(text: str) -> SecondLook:
    """Read a second look such as ``0.4:800``.

    Raises:
        InvalidOptionError: it is not written like that.
    """
    below, _, effort = text.partition(":")
    try:
        values = float(below), int(effort)
    except ValueError:
        values = None
    if values is None or math.isinf(values[0]):  # which JSON cannot say
        raise InvalidOptionError("second_look", f"--second-look {text!r}: write score:effort, such as 0.4:800")
    return SecondLook(below=values[0], effort=values[1])


def headline(hit: Hit, width: int = 100) -> str:
    """Return a result's id and the beginning of its title or text, on one line."""
    text = next((hit.payload[name] for name in ("title", "text") if isinstance(hit.payload.get(name), str)), "")
    return " ".join(f"{hit.id}  {text if text != hit.id else ''}".split())[:width]


def stage_line(stage: dict[str, Any]) -> str:
    """Describe a stage, given as in the HTTP answer, on one line."""
    counts = "" if stage["candidates_in"] is None else f"{stage['candidates_in']:,} → {stage['candidates_out']:,}"
    how = f"{stage['dims']} dimensions" if stage["dims"] else ""
    line = (
        f"     {stage['name']:<10} {stage['milliseconds']:8.3f} ms  {how:<15} {counts:<18} {stage['structure'] or ''}"
    )
    read = (
        "" if stage["read"] is None else f"read {stage['read']:.0f}{', certified' if stage['certified'] == 1 else ''}"
    )
    again = "" if stage["again"] is None else f"  searched again: {stage['again']:.0%}"
    return f"{line}{read}{again}".rstrip()


def promise_line(promise: Promise) -> str:
    """Say on one line what calibration measured of the plan, and whether that is what was asked for."""
    measured = f"recall {promise.recall:.3f}, at least {promise.recall_low:.3f}, {promise.milliseconds:.3f} ms a query"
    unmet = "" if promise.met else "; no calibrated plan is what was asked for, this one comes closest"
    return f"     calibrated: {measured}{unmet}"


def _hybrid(asked: bool, fusion: str | None, weight: float | None) -> HybridOptions | None:
    if not asked and (fusion or weight is not None):
        raise typer.BadParameter("--fusion and --weight are about a search with --hybrid: give it too")
    defaults = HybridOptions()
    chosen = cast(Fusion, fusion or defaults.fusion)  # checked by HybridOptions itself
    return HybridOptions(fusion=chosen, weight=defaults.weight if weight is None else weight) if asked else None


def _filter(text: str) -> Filter:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidOptionError("filter", f"--filter {text!r:.80} is not JSON: {error}") from None
    return parse_filter(value)
