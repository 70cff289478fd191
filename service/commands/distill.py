"""``mrl distill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from models import Nesting
from models.distillation.options import DistillationOptions
from models.distillation.texts import read_texts
from models.progress import DistillationStarted, Encoding, Evaluating, Event, Step, TrainingStarted
from service.commands.options import (
    TRAINING,
    Device,
    LossWeights,
    Restart,
    Seed,
    Steps,
    Temperature,
    TextField,
    TextFiles,
    Validation,
)
from service.commands.output import ProgressDisplay, note, print_table

_TEACHER = "Teacher"
_DEFAULTS = DistillationOptions()


def distill(
    teacher: Annotated[
        str, typer.Argument(help="Teacher: a sentence-transformers directory or hub name.", show_default=False)
    ],
    texts: TextFiles,
    out: Annotated[Path, typer.Option(help="Directory of the student.", show_default=False)],
    text_field: TextField = "text",
    query_field: Annotated[
        str | None, typer.Option(help="Field of a query that the text answers, if rows have one. Default: none.")
    ] = None,
    sizes: Annotated[str, typer.Option(help="Prefix sizes of the student.")] = ",".join(
        map(str, _DEFAULTS.nesting.sizes)
    ),
    max_minutes: Annotated[
        float | None, typer.Option(help="Time limit; two thirds of it are for the teacher. Default: none.")
    ] = None,
    seed: Seed = _DEFAULTS.seed,
    device: Device = _DEFAULTS.device,
    restart: Restart = False,
    max_texts: Annotated[
        int | None,
        typer.Option(help="Maximum number of texts that the teacher encodes. Default: all.", rich_help_panel=_TEACHER),
    ] = None,
    teacher_tokens: Annotated[
        int, typer.Option(help="Number of tokens after which the teacher truncates a text.", rich_help_panel=_TEACHER)
    ] = _DEFAULTS.teacher_tokens,
    precision: Annotated[
        str,
        typer.Option(
            help="Precision of the teacher: auto (bfloat16 on a GPU), float32, or bfloat16 (faster on some CPUs).",
            rich_help_panel=_TEACHER,
        ),
    ] = _DEFAULTS.precision,
    assistant: Annotated[
        str | None,
        typer.Option(
            help="Static table to learn from besides the teacher: a directory or wordllama. Default: none.",
            rich_help_panel=_TEACHER,
        ),
    ] = None,
    assistant_weight: Annotated[
        float,
        typer.Option(help="Norm of the assistant's vectors; that of the teacher's is 1.", rich_help_panel=_TEACHER),
    ] = _DEFAULTS.assistant_weight,
    min_count: Annotated[
        int,
        typer.Option(
            help="Number of texts a word must occur in to become a token of its own.", rich_help_panel=TRAINING
        ),
    ] = _DEFAULTS.min_count,
    steps: Steps = _DEFAULTS.steps,
    batch_size: Annotated[
        int, typer.Option(help="Number of texts, and of pairs, in a batch.", rich_help_panel=TRAINING)
    ] = _DEFAULTS.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Peak learning rate.", rich_help_panel=TRAINING)
    ] = _DEFAULTS.learning_rate,
    weights: LossWeights = None,
    ranking: Annotated[
        float,
        typer.Option(
            help="Weight of the loss that teaches short prefixes the teacher's ranking.", rich_help_panel=TRAINING
        ),
    ] = _DEFAULTS.ranking,
    contrast: Annotated[
        float, typer.Option(help="Weight of the contrastive loss on pairs.", rich_help_panel=TRAINING)
    ] = _DEFAULTS.contrast,
    temperature: Temperature = _DEFAULTS.temperature,
    validation: Validation = _DEFAULTS.validation,
) -> None:
    """Distill a teacher into a static Matryoshka student: a table of token vectors, tens of times faster.

    The teacher's vectors are kept in OUT-teacher. If the run is interrupted, the same command resumes it from them and
    from its last checkpoint. The result is a sentence-transformers directory with a model card.
    """
    # torch takes seconds to import, and --help need not wait for it
    from models.distillation.distill import distill as run_distillation

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
    print_table(("dims", "neighbour agreement@10", "nDCG@10"), rows, "held-out texts and pairs")
    if result.teacher_ndcg is not None:
        note(f"the teacher's nDCG@10 on the same pairs is {result.teacher_ndcg:.3f}")
    note(f"wrote the student to {out}, after {result.steps} steps on {result.texts:,} texts in {result.seconds:.0f} s")


class DistillationProgress(ProgressDisplay):
    """Progress bars of a distillation."""

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
