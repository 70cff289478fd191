"""``mrl distill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from models.distillation.options import DistillationOptions
from models.distillation.texts import read_texts
from models.nesting import Nesting
from models.progress import DistillationStarted, Encoding, Evaluating, Event, Step, TrainingStarted
from service.commands.output import ProgressDisplay, note, print_table

_DEFAULTS = DistillationOptions()


def distill(
    teacher: Annotated[
        str, typer.Argument(help="The teacher: a sentence-transformers directory or hub name.", show_default=False)
    ],
    texts: Annotated[
        list[Path],
        typer.Argument(help="Files of texts: .jsonl[.gz|.zst], .csv, .tsv or .parquet.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Directory the student is written to.")],
    text_field: Annotated[str, typer.Option(help="Field of the text.")] = "text",
    query_field: Annotated[
        str | None, typer.Option(help="Field of a query that the text answers, where rows have one. Default: none.")
    ] = None,
    sizes: Annotated[str, typer.Option(help="Nested sizes of the student.")] = ",".join(
        map(str, _DEFAULTS.nesting.sizes)
    ),
    weights: Annotated[str | None, typer.Option(help="Loss weight of each size. Default: 1 each.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Bound on the run; the teacher gets two thirds. Default: none.")
    ] = None,
    max_texts: Annotated[int | None, typer.Option(help="Texts the teacher encodes, at most. Default: all.")] = None,
    teacher_tokens: Annotated[int, typer.Option(help="Tokens the teacher reads of a text.")] = _DEFAULTS.teacher_tokens,
    precision: Annotated[
        str, typer.Option(help="Of the teacher: auto (bfloat16 on a GPU), float32, or bfloat16 (some CPUs are faster).")
    ] = _DEFAULTS.precision,
    min_count: Annotated[
        int, typer.Option(help="Texts a word must occur in to become a token of its own.")
    ] = _DEFAULTS.min_count,
    steps: Annotated[int, typer.Option(help="Batches, at most.")] = _DEFAULTS.steps,
    batch_size: Annotated[int, typer.Option(help="Texts, and as many pairs, a step.")] = _DEFAULTS.batch_size,
    learning_rate: Annotated[float, typer.Option(help="Peak rate.")] = _DEFAULTS.learning_rate,
    assistant: Annotated[
        str | None,
        typer.Option(help="A static table to learn from beside the teacher: wordllama or a directory. Default: none."),
    ] = None,
    assistant_weight: Annotated[
        float, typer.Option(help="Length of the assistant's vectors; the teacher's have 1.")
    ] = _DEFAULTS.assistant_weight,
    ranking: Annotated[
        float, typer.Option(help="Weight of the loss by which short prefixes learn the teacher's ranking.")
    ] = _DEFAULTS.ranking,
    contrast: Annotated[
        float, typer.Option(help="Weight of the contrastive loss beside distillation.")
    ] = _DEFAULTS.contrast,
    temperature: Annotated[float, typer.Option(help="What cosines of pairs are divided by.")] = _DEFAULTS.temperature,
    validation: Annotated[float, typer.Option(help="Share of pairs held out.")] = _DEFAULTS.validation,
    seed: Annotated[int, typer.Option(help="Of the splits, the order and new columns.")] = _DEFAULTS.seed,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = _DEFAULTS.device,
    restart: Annotated[bool, typer.Option("--restart", help="Delete an earlier run in --out and begin anew.")] = False,
) -> None:
    """Distill a teacher into a static Matryoshka student: one table of token vectors, tens of times as fast.

    The teacher's vectors are kept in OUT-teacher, and the run goes on from there and from its last checkpoint when
    the same command is given again. The result is a sentence-transformers directory with a model card.
    """
    from models.distillation.distill import (
        distill as run_distillation,  # torch takes seconds, which --help need not wait for
    )

    options = DistillationOptions(
        nesting=Nesting.parse(sizes, weights),
        min_count=min_count,
        teacher_tokens=teacher_tokens,
        max_texts=max_texts,
        precision=precision,
        max_seconds=None if max_minutes is None else max_minutes * 60,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        assistant=assistant,
        assistant_weight=assistant_weight,
        ranking=ranking,
        contrast=contrast,
        temperature=temperature,
        validation=validation,
        seed=seed,
        device=device,
    )
    read = read_texts(texts, text_field=text_field, query_field=query_field, seed=seed)
    if read.skipped:
        note(f"skipped {read.skipped} rows without a text in field {text_field!r}")
    with DistillationProgress() as progress:
        result = run_distillation(
            read.texts, read.pairs, teacher, out, options, restart=restart, report=progress.report
        )
    rows = [
        (str(size), f"{agreement:.3f}", f"{result.ndcg[size]:.3f}" if result.ndcg else "")
        for size, agreement in result.agreement.items()
    ]
    print_table(("dimensions", "neighbour agreement@10", "nDCG@10"), rows, "held-out texts and pairs")
    if result.teacher_ndcg is not None:
        note(f"the teacher's nDCG@10 on the same pairs is {result.teacher_ndcg:.3f}")
    note(f"{result.steps} steps on {result.texts:,} texts in {result.seconds:.0f} s; the student is in {out}")


class DistillationProgress(ProgressDisplay):
    """Draws what :func:`models.distillation.distill.distill` reports."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[str, TaskID] = {}

    def report(self, event: Event) -> None:
        """Draw an event."""
        match event:
            case DistillationStarted(texts=texts, pairs=pairs, tokens=tokens):
                note(f"{texts:,} texts, {pairs:,} pairs to train on, {tokens:,} tokens")
            case Encoding(what=what, done=done, total=total):
                self._draw(f"encode {what}", done, total)
            case TrainingStarted(done=done, steps=steps):
                self._draw("training", done, steps)
            case Step(step=step, total=total, loss=loss):
                self._draw("training", step, total, f"loss {loss:.2f}")
            case Evaluating(what=what):
                note(f"measuring on {what}")

    def _draw(self, name: str, done: int, total: int | None, text: str = "") -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=total, completed=done, facts="")
        self._bar.update(self._tasks[name], completed=done, total=total, facts=text)
