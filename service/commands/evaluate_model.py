"""``mrl evaluate MODEL``: quality of a model at each prefix size, by labelled texts or by pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models import Encoder, load_encoder
from models.data.labelled_texts import LabelledText, is_labelled, read_labelled
from models.data.pairs import read_pairs
from models.evaluation import PairScore, measure_pairs
from models.evaluation.split import evaluation_parts
from models.nesting import Vectors
from models.progress import Evaluating, Event
from service.commands.output import note, note_skipped, print_json, print_table

if TYPE_CHECKING:
    from models.evaluation.labels import Evaluation

_BATCH = 4096


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """Options of the command that concern a model."""

    model: str
    data: tuple[Path, ...]
    sizes: tuple[int, ...] | None
    candidates: int
    text_field: str
    label_field: str
    split_field: str
    query_field: str
    document_field: str
    limit: int | None
    episodes: int
    linear: bool
    between: bool
    seed: int
    device: str


def evaluate_model(options: ModelEvaluation, plots: Path | None, save: Path | None, json_output: bool) -> None:
    """Evaluate a model; write plots and results if asked for, and print the results."""
    if is_labelled(options.data[0], label_field=options.label_field, query_field=options.query_field):
        read = read_labelled(
            options.data,
            text_field=options.text_field,
            label_field=options.label_field,
            split_field=options.split_field,
        )
        _note_rejected(read.rejected)
        parts = evaluation_parts(read.items, limit=options.limit, seed=options.seed)
        encoder = load_encoder(options.model, device=options.device)
        evaluation = _by_labels(options, encoder, *parts)
        figures: dict[str, Any] = {"labels": evaluation.to_json()}
        if plots:
            # Matplotlib takes a second to import.
            from models.evaluation.plots import plot_evaluations

            data = ", ".join(path.name for path in options.data)
            for path in plot_evaluations({Path(options.model).name: evaluation}, plots, data):
                note(f"wrote {path}")
        tables = _label_tables(evaluation)
    else:
        pairs = read_pairs(options.data, query_field=options.query_field, document_field=options.document_field)
        _note_rejected(pairs.rejected)
        chosen = pairs.pairs
        if options.limit is not None and options.limit < len(chosen):
            rows = np.sort(np.random.default_rng(options.seed).choice(len(chosen), options.limit, replace=False))
            chosen = [chosen[row] for row in rows]
        encoder = load_encoder(options.model, device=options.device)
        scores = measure_pairs(encoder, chosen, options.sizes or encoder.nesting.sizes)
        figures = {"pairs": [score.to_json() for score in scores]}
        tables = [_pair_table(scores, len(chosen))]
    figures = {"model": encoder.name, "content_hash": encoder.content_hash, **figures}
    if save:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if json_output:
        print_json(figures)
        return
    for title, header, cells in tables:
        print_table(header, cells, title)


_Table = tuple[str, Sequence[str], list[Sequence[str]]]


def _by_labels(
    options: ModelEvaluation, encoder: Encoder, train: Sequence[LabelledText], test: Sequence[LabelledText]
) -> Evaluation:
    # scikit-learn takes a second to import, and --help need not wait for it
    from models.evaluation.labels import EvaluationOptions, evaluate_labels

    note(f"encoding {len(train) + len(test)} texts")
    return evaluate_labels(
        _encoded(encoder, train),
        np.array([item.label for item in train]),
        _encoded(encoder, test),
        np.array([item.label for item in test]),
        options.sizes or encoder.nesting.sizes,
        options=EvaluationOptions(
            interpolated=options.between,
            candidates=options.candidates,
            episodes=options.episodes,
            seed=options.seed,
            linear=options.linear,
        ),
        report=_note_part,
    )


def _note_part(event: Event) -> None:
    if isinstance(event, Evaluating):
        note(f"measuring {event.what}")


def _encoded(encoder: Encoder, items: Sequence[LabelledText]) -> Vectors:
    texts = [item.text for item in items]
    return np.concatenate([encoder.encode_documents(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)])


def _note_rejected(rejected: Sequence[tuple[str, int, str]]) -> None:
    note_skipped([(f"{source} line {line}", reason) for source, line, reason in rejected], "rows")


def _label_tables(evaluation: Evaluation) -> list[_Table]:
    names = [f"{score.size}{' *' if score.interpolated else ''}" for score in evaluation.sizes]
    title = (
        f"{evaluation.train} training and {evaluation.test} test texts, {evaluation.classes} labels; top-1, mAP and "
        "precision in percent"
    )
    if any(score.interpolated for score in evaluation.sizes):
        title += "\n* interpolated: halfway between two sizes"
    header = ("dims", "linear", "1-NN", "mAP@10", "P@10", "P@100", "multiply-adds: classify", "search")
    rows: list[Sequence[str]] = [
        (
            name,
            _percent(score.linear),
            _percent(score.retrieval.top1),
            _percent(score.retrieval.map),
            _percent(score.retrieval.precision.get(10)),
            _percent(score.retrieval.precision.get(100)),
            f"{score.classifier_multiply_adds:,}",
            f"{score.retrieval.multiply_adds:,}",
        )
        for name, score in zip(names, evaluation.sizes, strict=True)
    ]
    tables: list[_Table] = [(title, header, rows)]
    if evaluation.options.shots:
        tables.append(_few_shot_table(evaluation, names))
    if evaluation.retrieval:
        tables.append(_retrieval_table(evaluation))
    return tables


def _few_shot_table(evaluation: Evaluation, names: Sequence[str]) -> _Table:
    header = ("dims", *(f"{shots}-shot" for shots in evaluation.options.shots))
    rows: list[Sequence[str]] = [
        (
            name,
            *(f"{_percent(draws.mean)} ± {100 * (draws.high - draws.mean):.1f}" for draws in score.few_shot.values()),
        )
        for name, score in zip(names, evaluation.sizes, strict=True)
    ]
    title = f"nearest class mean, top-1 in percent: mean of {evaluation.options.episodes} episodes with 95 % interval"
    return title, header, rows


def _retrieval_table(evaluation: Evaluation) -> _Table:
    last = evaluation.sizes[-1]
    shown = [last.retrieval, *(score for score in evaluation.retrieval if score.plan.sizes[-1] == last.size)]
    header = ("search", "dims", "candidates", "top-1", "mAP@10", "scan", "with reranks", "fewer")
    rows: list[Sequence[str]] = [
        (
            score.plan.kind,
            "→".join(map(str, score.plan.sizes)),
            "→".join(map(str, score.plan.keeps)),
            _percent(score.top1),
            _percent(score.map),
            f"{score.scan_multiply_adds:,}",
            f"{score.multiply_adds:,}",
            f"{last.retrieval.multiply_adds / score.multiply_adds:.1f}x",
        )
        for score in shown
    ]
    return "coarse-to-fine retrieval: multiply-adds per query of the scan alone, and with the reranks", header, rows


def _pair_table(scores: Sequence[PairScore], queries: int) -> _Table:
    header = ("dims", "nDCG@10", *(f"recall@{k}" for k in scores[0].recall), "multiply-adds")
    rows: list[Sequence[str]] = [
        (
            str(score.size),
            f"{score.ndcg:.3f}",
            *(f"{value:.3f}" for value in score.recall.values()),
            f"{score.size * score.documents:,}",
        )
        for score in scores
    ]
    return f"{queries} queries, each with one relevant document among {scores[0].documents}", header, rows


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
