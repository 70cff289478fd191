"""``mrl train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from models import Nesting
from models.classifier.image_options import ImageTrainingOptions
from models.classifier.text_options import ClassificationOptions
from models.data.labelled_texts import is_labelled
from models.data.pairs import read_pairs
from models.training.options import TrainingOptions
from service.commands.options import (
    LABELLED_TEXTS,
    PAIRS,
    ROWS,
    TRAINING,
    Device,
    DocumentField,
    LabelField,
    LabelledTextField,
    LossWeights,
    QueryField,
    Restart,
    Seed,
    SplitField,
    Validation,
)
from service.commands.output import note, note_skipped, print_table
from service.commands.progress import TrainingProgress
from service.commands.train_images import train_on_images
from service.commands.train_labelled import train_labelled

_DEFAULTS = TrainingOptions()


def train(
    pairs: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help=f"Files of (query, document) pairs or of labelled texts: {ROWS}; or a folder that contains a folder "
            "of images per label.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the model.", show_default=False)],
    base: Annotated[
        str, typer.Option(help="Base model: a sentence-transformers directory, a hub name or 'wordllama' (included).")
    ] = "wordllama",
    sizes: Annotated[
        str | None, typer.Option(help="Prefix sizes, such as 64,128,256. Default: the dimension halved down to 8.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Widen a static base model to this dimension first. Default: its own dimension.")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Time limit. Default: none.")] = None,
    seed: Seed = _DEFAULTS.seed,
    device: Device = _DEFAULTS.device,
    restart: Restart = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of epochs. Default: 10 for pairs and images, 3 for texts.", rich_help_panel=TRAINING
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Rows per batch; the documents of the other pairs are negatives. Default: 512 for pairs, 256 for "
            "labelled texts, 64 for images.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak learning rate. Default: by the kind of model and data.", rich_help_panel=TRAINING),
    ] = None,
    weights: LossWeights = None,
    validation: Validation = _DEFAULTS.validation,
    patience: Annotated[
        int,
        typer.Option(
            help="Early stopping: number of validations without improvement after which training stops.",
            rich_help_panel=TRAINING,
        ),
    ] = _DEFAULTS.patience,
    query_field: QueryField = "query",
    document_field: DocumentField = "document",
    temperature: Annotated[
        float, typer.Option(help="Softmax temperature of the contrastive loss.", rich_help_panel=PAIRS)
    ] = _DEFAULTS.temperature,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between validations. Default: an epoch.", rich_help_panel=PAIRS)
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(
            help="Texts to encode at once, for batches larger than memory (gradient caching, same result).",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="auto (bfloat16 on a GPU), float32 or bfloat16.", rich_help_panel=PAIRS)
    ] = _DEFAULTS.precision,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile a transformer with torch.compile.", rich_help_panel=PAIRS)
    ] = _DEFAULTS.compile,
    kind: Annotated[
        str,
        typer.Option(
            help="mrl (a head per size), mrl-e (one tied head), ff (a single size) or slimmable.",
            rich_help_panel=LABELLED_TEXTS,
        ),
    ] = "mrl",
    text_field: LabelledTextField = "text",
    label_field: LabelField = "label",
    split_field: SplitField = "split",
) -> None:
    """Train a Matryoshka embedding, whose every prefix is an embedding too.

    Pairs train it with a Matryoshka loss over InfoNCE. They may name hard negatives: a field negative, or a field
    negatives with a list. Rows with a label and no query are labelled texts: they train a classifier with a head and a
    threshold per size. A folder of images per label does the same for a vision model, a new one or --base.

    If the run is interrupted, the same command resumes it; Ctrl-C stops it and keeps the best weights so far. The
    result is a sentence-transformers directory with a model card. On several GPUs, run: accelerate launch -m service
    train ...
    """
    # torch takes seconds to import, and --help need not wait for it
    from models.training.contrastive import train as run_training
    from models.training.processes import is_first_process

    if weights and not sizes:
        raise typer.BadParameter("--weights needs --sizes")
    of_images = pairs[0].is_dir()
    labelled = not of_images and is_labelled(pairs[0], label_field=label_field, query_field=query_field)
    if of_images or labelled:
        given = temperature, evaluate_every, chunk, precision, compile
        if given != (_DEFAULTS.temperature, None, None, _DEFAULTS.precision, _DEFAULTS.compile):
            raise typer.BadParameter(
                "--temperature, --evaluate-every, --chunk, --precision and --compile are for pairs, but the data are "
                f"labelled {'images' if of_images else 'texts'}"
            )
    # Each kind of training has defaults of its own for options that are not given.
    common = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "max_seconds": max_seconds}
    chosen: dict[str, Any] = {name: value for name, value in common.items() if value is not None}
    chosen |= {"patience": patience, "seed": seed, "device": device}
    nesting = Nesting.parse(sizes, weights) if sizes else None
    if of_images:
        if len(pairs) > 1 or width is not None:
            raise typer.BadParameter("images: give a single folder, and --sizes instead of --width")
        if nesting:
            chosen["nesting"] = nesting
        image_options = ImageTrainingOptions(kind=kind, **chosen)
        image_base = None if base == "wordllama" else base
        train_on_images(pairs[0], image_base, out, image_options, validation, restart)
        return
    if labelled:
        labelled_options = ClassificationOptions(kind=kind, nesting=nesting, width=width, **chosen)
        fields = text_field, label_field, split_field
        train_labelled(pairs, fields, base, out, labelled_options, validation, restart)
        return
    options = TrainingOptions(
        nesting=nesting,
        width=width,
        temperature=temperature,
        validation=validation,
        evaluate_every=evaluate_every,
        chunk=chunk,
        precision=precision,
        compile=compile,
        **chosen,
    )
    read = read_pairs(pairs, query_field=query_field, document_field=document_field)
    note_skipped([(f"{source} line {line}", reason) for source, line, reason in read.rejected], "rows")
    with TrainingProgress("pairs") as progress:
        result = run_training(read.pairs, base, out, options, restart=restart, report=progress.report)
    if not is_first_process():
        return
    print_scores(result.before, result.after, "validation nDCG@10")
    note(
        f"{result.stopped} after {result.steps} steps; wrote the weights of step {result.best_step} to "
        f"{result.directory}"
    )


def print_scores(before: dict[int, float], after: dict[int, float], title: str) -> None:
    """Print scores by prefix size, before and after training."""
    rows = [
        (str(size), f"{before[size]:.3f}", f"{after[size]:.3f}", f"{after[size] - before[size]:+.3f}") for size in after
    ]
    print_table(("dims", "before", "after", "gain"), rows, title)
