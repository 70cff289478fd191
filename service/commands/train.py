"""``mrl train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from models.classifier.image_options import ImageTrainingOptions
from models.classifier.text_options import ClassificationOptions
from models.data.labelled_texts import is_labelled
from models.data.pairs import read_pairs
from models.nesting import Nesting
from models.training.options import TrainingOptions
from service.commands.output import note, print_table
from service.commands.progress import TrainingProgress
from service.commands.train_images import train_on_images
from service.commands.train_labelled import train_labelled

_DEFAULTS = TrainingOptions()


def train(
    pairs: Annotated[
        list[Path],
        typer.Argument(
            help="Files of (query, document) pairs, or of labelled texts: .jsonl[.gz|.zst], .csv, .tsv or .parquet; or "
            "a folder that holds a folder of images for each label."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory the model is written to.")],
    base: Annotated[
        str,
        typer.Option(help="'wordllama' (built in), a sentence-transformers directory, or a hub name."),
    ] = "wordllama",
    query_field: Annotated[str, typer.Option(help="Field of the query.")] = "query",
    document_field: Annotated[str, typer.Option(help="Field of the document.")] = "document",
    sizes: Annotated[
        str | None, typer.Option(help="Nested sizes, such as 64,128,256. Default: the full size halved down to 8.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Widen a static base to this many dimensions first. Default: its own.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Loss weight of each size. Default: 1 each.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data, at most. Default: 10 for pairs and images, 3 for texts.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Rows a step; each pair's document is a negative for the others. Default: 512 for pairs, 256 for "
            "labelled texts, 64 for images."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak rate. Default: by kind of model and of data.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="What cosines are divided by.")] = _DEFAULTS.temperature,
    validation: Annotated[float, typer.Option(help="Share of pairs held out for validation.")] = _DEFAULTS.validation,
    evaluate_every: Annotated[int | None, typer.Option(help="Steps between validations. Default: an epoch.")] = None,
    patience: Annotated[
        int, typer.Option(help="Validations without a better score before training stops.")
    ] = _DEFAULTS.patience,
    max_seconds: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
    chunk: Annotated[
        int | None,
        typer.Option(help="Texts encoded at once, for batches larger than memory (gradient caching, same result)."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="auto (bfloat16 on a GPU), float32 or bfloat16.")
    ] = _DEFAULTS.precision,
    compile: Annotated[
        bool, typer.Option("--compile", help="Run a transformer through torch.compile.")
    ] = _DEFAULTS.compile,
    seed: Annotated[int, typer.Option(help="Of the split, the order and torch.")] = _DEFAULTS.seed,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = _DEFAULTS.device,
    restart: Annotated[bool, typer.Option("--restart", help="Delete an earlier run in --out and begin anew.")] = False,
    kind: Annotated[
        str, typer.Option(help="Labelled texts: mrl (a head a size), mrl-e (one tied head), ff (one size), slimmable.")
    ] = "mrl",
    text_field: Annotated[str, typer.Option(help="Labelled texts: field of the text.")] = "text",
    label_field: Annotated[str, typer.Option(help="Labelled texts: field of the label.")] = "label",
    split_field: Annotated[str, typer.Option(help="Labelled texts: field that says train, valid or test.")] = "split",
) -> None:
    """Train an embedding whose every prefix is an embedding too (Matryoshka loss over InfoNCE or cross-entropy).

    Rows with a label and no query are labelled texts: a classifier is trained, with a head and a threshold a size; a
    folder of images for each label does the same for a vision model, new or from --base.
    A run that was interrupted goes on when the same command is given again. Ctrl-C keeps the best weights so far.
    The result is a sentence-transformers directory with a model card. Pairs may name hard negatives (a field negative,
    or negatives with a list). On several GPUs: accelerate launch -m service train ...
    """
    from models.training.contrastive import (
        train as run_training,  # torch takes seconds to import, which --help need not wait for
    )
    from models.training.processes import is_first_process

    if weights and not sizes:
        raise typer.BadParameter("--weights needs --sizes")
    of_images = pairs[0].is_dir()
    labelled = not of_images and is_labelled(pairs[0], label_field=label_field, query_field=query_field)
    if of_images or labelled:
        given = temperature, evaluate_every, chunk, precision, compile
        if given != (_DEFAULTS.temperature, None, None, _DEFAULTS.precision, _DEFAULTS.compile):
            raise typer.BadParameter(
                "--temperature, --evaluate-every, --chunk, --precision and --compile are for pairs, and these are "
                f"labelled {'images' if of_images else 'texts'}"
            )
    # What is not given is left to each kind of training's own default.
    common = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "max_seconds": max_seconds}
    chosen: dict[str, Any] = {name: value for name, value in common.items() if value is not None}
    chosen |= {"patience": patience, "seed": seed, "device": device}
    nesting = Nesting.parse(sizes, weights) if sizes else None
    if of_images:
        if len(pairs) > 1 or width is not None:
            raise typer.BadParameter("images are trained on from one folder, and --sizes says how wide the vectors are")
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
    for source, line, reason in read.rejected[:10]:
        note(f"skipped {source} line {line}: {reason}")
    if len(read.rejected) > 10:
        note(f"skipped {len(read.rejected) - 10} more rows")
    with TrainingProgress("pairs") as progress:
        result = run_training(read.pairs, base, out, options, restart=restart, report=progress.report)
    if not is_first_process():
        return
    print_scores(result.before, result.after, "validation nDCG@10")
    note(
        f"{result.stopped} after {result.steps} steps; the weights of step {result.best_step} are in {result.directory}"
    )


def print_scores(before: dict[int, float], after: dict[int, float], title: str) -> None:
    """Print scores by size before and after training."""
    rows = [
        (str(size), f"{before[size]:.3f}", f"{after[size]:.3f}", f"{after[size] - before[size]:+.3f}") for size in after
    ]
    print_table(("dimensions", "before", "after", "gain"), rows, title)
