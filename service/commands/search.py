"""``mrl search``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from indexer import Hit, Index, SearchOptions
from service.commands.output import note, print_json


def search(
    index: Annotated[Path, typer.Argument(help="The index directory.", show_default=False)],
    query: Annotated[str, typer.Argument(help="The text to search for.", show_default=False)],
    k: Annotated[int, typer.Option("-k", help="Results wanted.")] = 10,
    dims: Annotated[int | None, typer.Option(help="Size of the shortlist's prefix. Default: the index's.")] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Length of the shortlist. Default: the larger of 200 and 2k.")
    ] = None,
    rerank_dims: Annotated[
        int | None, typer.Option(help="Size the shortlist is ranked by. Default: the full size.")
    ] = None,
    effort: Annotated[int | None, typer.Option(help="How hard the structure looks (HNSW: efSearch).")] = None,
    model: Annotated[str | None, typer.Option(help="Where the index's model is now, if it has moved.")] = None,
    device: Annotated[str, typer.Option(help="Where the query is encoded: auto, cpu or cuda.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print results, plan and stages as JSON.")] = False,
) -> None:
    """Search an index: a shortlist by a short prefix, then ranked by the full vectors."""
    options = SearchOptions(k, dims, candidates, effort, rerank_dims)
    with Index.open(index, model=model, device=device) as opened:
        found = opened.search([query], options)
    if json_output:
        value: dict[str, Any] = {
            "results": [asdict(hit) for hit in found.hits[0]],
            "plan": asdict(found.plan),
            "stages": [asdict(stage) for stage in found.stages],
        }
        print_json(value)
        return
    for number, hit in enumerate(found.hits[0], start=1):
        typer.echo(f"{number:>3}  {hit.score:.4f}  {headline(hit)}")
    for stage in found.stages:
        note(stage_line(asdict(stage)))


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
    return line.rstrip()
