"""``mrl train`` on labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.classifier.text_options import ClassificationOptions
from models.data.labelled_texts import read_labelled, split_labelled
from models.directory.output import check_output
from models.encoders.load import load_encoder
from service.commands.output import note, note_skipped, print_table
from service.commands.progress import TrainingProgress

if TYPE_CHECKING:
    from models.classifier.training import TrainedClassifier


def train_labelled(
    files: Sequence[Path],
    fields: tuple[str, str, str],
    base: str,
    out: Path,
    options: ClassificationOptions,
    validation: float,
    restart: bool,
) -> None:
    """Train a classifier, write it to ``out`` and print its accuracy by prefix size.

    Args:
        files: rows with a text, a label and optionally a split.
        fields: names of the fields of the text, the label and the split.
        base: static table to start from, as :func:`models.load_encoder` takes it.
        out: directory of the model.
        options: training options.
        validation: share of the rows held out, unless the split of some is ``valid``.
        restart: overwrite an earlier model or checkpoint in ``out``.
    """
    # torch takes seconds to import, and --help need not wait for it
    from models.classifier.text_data import ClassificationData
    from models.classifier.texts import save_classifier, train_classifier

    check_output(out, restart)
    text_field, label_field, split_field = fields
    read = read_labelled(files, text_field=text_field, label_field=label_field, split_field=split_field)
    note_skipped([(f"{source} line {line}", reason) for source, line, reason in read.rejected], "rows")
    parts = split_labelled(read.items, validation, options.seed)
    data = ClassificationData.prepare(parts, load_encoder(base))
    with TrainingProgress("texts") as progress:
        result = train_classifier(data, options, out=out, report=progress.report)
    save_classifier(result, out, options, base)
    print_result(result, out)


def print_result(result: TrainedClassifier, out: Path) -> None:
    """Print the accuracy of a classifier by prefix size, its cascade, and where it was written."""
    rows = [
        (str(size), f"{result.validation[size]:.2%}", f"{result.test[size]:.2%}" if result.test else "")
        for size in result.classifier.nesting.sizes
    ]
    print_table(("dims", "validation", "test"), rows, f"top-1 accuracy, {len(result.classifier.labels)} labels")
    if cascade := result.classifier.cascade:
        note(
            f"cascade: validation accuracy {cascade.accuracy:.2%} with {cascade.dims:.1f} expected dims "
            f"({cascade.dims_summed:.1f} if all sizes tried are added up)"
        )
    note(
        f"{result.stopped} after {len(result.history)} epochs; wrote the weights of epoch {result.best_epoch} to {out}"
    )
