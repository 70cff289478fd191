"""``mrl evaluate``: search quality of an index, or quality of a model at each of its sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer import HYBRID_VARIANTS, Generations, Index, evaluate_index, read_judged
from models import ModelError, Nesting
from models.directory.files import RECORD_NAME
from models.encoders.base import WORDLLAMA
from service.commands.evaluate_model import ModelEvaluation, evaluate_model
from service.commands.options import (
    LABELLED_TEXTS,
    ROWS,
    Device,
    DocumentField,
    Json,
    LabelField,
    LabelledTextField,
    QueryField,
    SplitField,
)
from service.commands.output import print_json, print_table

_INDEX, _MODEL = "Index", "Model"
_MODULES = "modules.json"
"""Present in every sentence-transformers directory."""


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="An index directory; or a model: its directory, a hub name or 'wordllama'.", show_default=False
        ),
    ],
    dims: Annotated[
        str | None,
        typer.Option(
            help="Prefix sizes to evaluate, such as 32,64,128,256. Default: the sizes the model is trained for."
        ),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Length of the shortlist (K); at least 100 for an index.")] = 200,
    device: Device = "auto",
    json_output: Json = False,
    queries: Annotated[
        Path | None, typer.Option(help="Queries: JSON Lines with _id and text.", rich_help_panel=_INDEX)
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option(
            help="Relevance judgements: TSV of query, document and grade (BEIR or TREC).", rich_help_panel=_INDEX
        ),
    ] = None,
    effort: Annotated[
        int | None,
        typer.Option(help="Search effort of the shortlist structure (HNSW: efSearch).", rich_help_panel=_INDEX),
    ] = None,
    hybrid: Annotated[
        bool,
        typer.Option("--hybrid", help="Also evaluate words alone, and words with vectors.", rich_help_panel=_INDEX),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="New location of the index's model, if it has moved.", rich_help_panel=_INDEX),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help=f"Labelled texts or pairs: {ROWS}; repeatable.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Evaluate on a random sample of this many rows.", rich_help_panel=_MODEL)
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Random seed of the sample, the split and the episodes.", rich_help_panel=_MODEL)
    ] = 0,
    save: Annotated[
        Path | None, typer.Option(help="Write the results to this JSON file.", rich_help_panel=_MODEL)
    ] = None,
    query_field: QueryField = "query",
    document_field: DocumentField = "document",
    text_field: LabelledTextField = "text",
    label_field: LabelField = "label",
    split_field: SplitField = "split",
    episodes: Annotated[
        int, typer.Option(help="Episodes of the few-shot evaluation.", rich_help_panel=LABELLED_TEXTS)
    ] = 100,
    linear: Annotated[
        bool, typer.Option(help="Train linear probes, which takes longest.", rich_help_panel=LABELLED_TEXTS)
    ] = True,
    between: Annotated[
        bool, typer.Option(help="Also evaluate sizes halfway between trained ones.", rich_help_panel=LABELLED_TEXTS)
    ] = True,
    plots: Annotated[
        Path | None, typer.Option(help="Write plots into this directory.", rich_help_panel=LABELLED_TEXTS)
    ] = None,
) -> None:
    """Evaluate an index by relevance judgements, or a model by labelled texts or pairs, at each prefix size.

    Index (--queries, --qrels): exact search at each size, and shortlist with rerank.

    Model (--data): labelled texts give linear, 1-NN and few-shot accuracy, mAP@10, precision, and adaptive and funnel
    retrieval with their multiply-adds; pairs of a query and a document give nDCG@10 and recall. Labelled texts without
    a split are split at random, 20 % for testing.
    """
    if _is_index(target, judged=bool(queries or qrels)):
        if not queries or not qrels or data:
            raise typer.BadParameter(f"{target} is an index: evaluate it with --queries and --qrels")
        _evaluate_index(Path(target), queries, qrels, dims, candidates, effort, hybrid, model, device, json_output)
        return
    if not data or queries or qrels:
        raise typer.BadParameter(f"{target} names a model: evaluate it with --data, labelled texts or pairs")
    options = ModelEvaluation(
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
    evaluate_model(options, plots, save, json_output)


def _is_index(target: str, judged: bool) -> bool:
    path = Path(target).expanduser()
    is_model = target == WORDLLAMA or any((path / name).exists() for name in (RECORD_NAME, _MODULES))
    if path.is_dir() and not is_model:
        if judged or Generations(path).published() is not None:
            return True
        raise ModelError(
            f"{target} is neither an index (no generation is published) nor a model (no {RECORD_NAME}, no {_MODULES})"
        )
    # A path that does not exist: the reader of an index or of a model, whichever was meant, raises the error.
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
    header = ("search", "structure", "dims", "K", *scores[0].metrics, "ms/query", "multiply-adds")
    print_table(header, rows, f"{len(judged.queries)} judged queries, {len(opened)} documents")
