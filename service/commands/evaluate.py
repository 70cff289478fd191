"""``mrl evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer import Index, evaluate_index, read_judged
from models.nesting import Nesting
from service.commands.output import print_json, print_table


def evaluate(
    index: Annotated[Path, typer.Argument(help="The index directory.", show_default=False)],
    queries: Annotated[Path, typer.Option(help="Queries: JSON Lines with _id and text.", show_default=False)],
    qrels: Annotated[
        Path, typer.Option(help="Judgements: TSV of query, document, grade (BEIR's or TREC's).", show_default=False)
    ],
    dims: Annotated[
        str | None,
        typer.Option(help="Sizes to measure, such as 32,64,128,256. Default: those the model was trained for."),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Length of the shortlist; at least 100.")] = 200,
    effort: Annotated[int | None, typer.Option(help="How hard the structure looks (HNSW: efSearch).")] = None,
    model: Annotated[str | None, typer.Option(help="Where the index's model is now, if it has moved.")] = None,
    device: Annotated[str, typer.Option(help="Where queries are encoded: auto, cpu or cuda.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure search quality by human judgements: one exact search at each size, and shortlist-then-rerank."""
    judged = read_judged(queries, qrels)
    with Index.open(index, model=model, device=device) as opened:
        sizes = Nesting.parse(dims).sizes if dims else opened.manifest.model.sizes
        scores = evaluate_index(opened, judged, sizes, candidates, effort)
    if json_output:
        print_json([score.to_json() for score in scores])
        return
    rows = []
    for score in scores:
        sizes_text = f"{score.dims}" if score.search == "single" else f"{score.dims} → {score.rerank_dims}"
        rows.append(
            (
                score.search,
                score.structure,
                sizes_text,
                str(score.candidates or ""),
                *(f"{value:.3f}" for value in score.metrics.values()),
                f"{score.seconds_per_query * 1e3:.3f}",
                f"{score.multiply_adds:,.0f}",
            )
        )
    header = ("search", "structure", "dimensions", "K", *scores[0].metrics, "ms a query", "multiply-adds")
    print_table(header, rows, f"{len(judged.queries)} judged queries, {len(opened)} documents")
