"""``mrl evaluate``: search quality of an index, or quality of a model at each of its sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer import Generations, Index, evaluate_index, read_judged
from indexer.evaluate import HYBRID_VARIANTS
from models.directory.files import RECORD_NAME
from models.encoders.base import WORDLLAMA
from models.errors import ModelError
from models.nesting import Nesting
from service.commands.evaluate_model import ModelEvaluation, evaluate_model
from service.commands.output import print_json, print_table

_MODULES = "modules.json"
"""What every sentence-transformers directory holds."""


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="An index directory; or a model: its directory, 'wordllama' or a hub name.", show_default=False
        ),
    ],
    queries: Annotated[Path | None, typer.Option(help="Index: queries, JSON Lines with _id and text.")] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="Index: judgements, TSV of query, document, grade (BEIR's or TREC's).")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Model: labelled texts or pairs, .jsonl[.gz|.zst], .csv, .tsv or .parquet; may be repeated."),
    ] = None,
    dims: Annotated[
        str | None,
        typer.Option(help="Sizes to measure, such as 32,64,128,256. Default: those the model was trained for."),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Length of the shortlist (K); at least 100 for an index.")] = 200,
    effort: Annotated[int | None, typer.Option(help="Index: how hard the structure looks (HNSW: efSearch).")] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Index: words alone and with the vectors too.")] = False,
    model: Annotated[str | None, typer.Option(help="Index: where its model is now, if it has moved.")] = None,
    text_field: Annotated[str, typer.Option(help="Labelled texts: field of the text.")] = "text",
    label_field: Annotated[str, typer.Option(help="Labelled texts: field of the label.")] = "label",
    split_field: Annotated[
        str, typer.Option(help="Labelled texts: field that says train or test; without one, 20 % are drawn.")
    ] = "split",
    query_field: Annotated[str, typer.Option(help="Pairs: field of the query.")] = "query",
    document_field: Annotated[str, typer.Option(help="Pairs: field of the document.")] = "document",
    limit: Annotated[int | None, typer.Option(help="Model: measure on a sample of this many rows.")] = None,
    episodes: Annotated[int, typer.Option(help="Labelled texts: few-shot draws.")] = 100,
    linear: Annotated[bool, typer.Option(help="Labelled texts: linear probes, the longest part.")] = True,
    between: Annotated[bool, typer.Option(help="Labelled texts: sizes halfway between the trained ones too.")] = True,
    seed: Annotated[int, typer.Option(help="Model: of the sample, the split and the draws.")] = 0,
    plots: Annotated[Path | None, typer.Option(help="Labelled texts: directory that pictures are drawn into.")] = None,
    save: Annotated[Path | None, typer.Option(help="Model: file that the figures are written to as JSON.")] = None,
    device: Annotated[str, typer.Option(help="Where texts are encoded: auto, cpu or cuda.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure an index by human judgements, or a model at each of its sizes by labelled texts or pairs.

    Index (--queries, --qrels): one exact search at each size, and shortlist-then-rerank.

    Model (--data): texts with labels give linear, 1-NN and few-shot accuracy, mAP@10, precision, adaptive and funnel
    retrieval and their multiply-adds; pairs of a query and a document give nDCG@10 and recall.
    """
    if _is_index(target, judged=bool(queries or qrels)):
        if not queries or not qrels or data:
            raise typer.BadParameter(f"{target} is an index: it is measured by --queries and --qrels")
        _evaluate_index(Path(target), queries, qrels, dims, candidates, effort, hybrid, model, device, json_output)
        return
    if not data or queries or qrels:
        raise typer.BadParameter(f"{target} names a model: it is measured by --data, labelled texts or pairs")
    asked = ModelEvaluation(
        model=target,
        data=tuple(data),
        sizes=Nesting.parse(dims).sizes if dims else None,
        candidates=candidates,
        text_field=text_field,
        label_field=label_field,
        split_field=split_field,
        query_field=query_field,
        document_field=document_field,
        limit=limit,
        episodes=episodes,
        linear=linear,
        between=between,
        seed=seed,
        device=device,
    )
    evaluate_model(asked, plots, save, json_output)


def _is_index(target: str, judged: bool) -> bool:
    path = Path(target).expanduser()
    is_model = target == WORDLLAMA or any((path / name).exists() for name in (RECORD_NAME, _MODULES))
    if path.is_dir() and not is_model:
        if judged or Generations(path).published() is not None:
            return True
        raise ModelError(
            f"{target} is neither an index (no generation is published) nor a model (no {RECORD_NAME}, no {_MODULES})"
        )
    # A path that does not exist is told so by what it was meant to be.
    return judged and not is_model


def _evaluate_index(
    index: Path,
    queries: Path,
    qrels: Path,
    dims: str | None,
    candidates: int,
    effort: int | None,
    hybrid: bool,
    model: str | None,
    device: str,
    json_output: bool,
) -> None:
    judged = read_judged(queries, qrels)
    with Index.open(index, model=model, device=device) as opened:
        sizes = Nesting.parse(dims).sizes if dims else opened.manifest.model.sizes
        scores = evaluate_index(
            opened, judged, sizes, candidates=candidates, effort=effort, hybrid=HYBRID_VARIANTS if hybrid else ()
        )
    if json_output:
        print_json([score.to_json() for score in scores])
        return
    rows = []
    for score in scores:
        single = score.candidates is None
        sizes_text = f"{score.dims}" if single else f"{score.dims} → {score.rerank_dims}"
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
