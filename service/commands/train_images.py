"""``mrl train`` on a folder of labelled images."""

from __future__ import annotations

from pathlib import Path

from models.image_training_options import ImageTrainingOptions
from models.labelled_images import list_labelled_images, split_labelled_images
from models.model_output import check_output
from service.commands.output import note, print_table
from service.commands.train_labelled import LabelledProgress


def train_on_images(
    folder: Path, base: str | None, out: Path, options: ImageTrainingOptions, validation: float, restart: bool
) -> None:
    """Train a vision model and its classifier, write it to ``out`` and print its accuracy by size.

    Args:
        folder: holds a folder of images for each label, perhaps below folders ``train``, ``valid`` and ``test``.
        base: a model with an image side to train from; a small new one where None.
        out: the model's directory.
        options: what decides the run.
        validation: share held out where no folder says ``valid``.
        restart: delete an earlier model in ``out``.
    """
    # torch takes seconds to import, which --help need not wait for
    from models.image_training import save_image_classifier, train_images

    check_output(out, restart)
    parts = split_labelled_images(list_labelled_images(folder), validation, options.seed)
    with LabelledProgress("images") as progress:
        result = train_images(parts, options, base, progress.report)
    for path, reason in result.rejected[:10]:
        note(f"passed over {path}: {reason}")
    if len(result.rejected) > 10:
        note(f"passed over {len(result.rejected) - 10} further images")
    save_image_classifier(result, out, options, base)
    validated = result.history[result.best_epoch - 1]["accuracy"]
    rows = [
        (str(size), f"{validated[size]:.2%}", f"{result.test[size]:.2%}" if result.test else "")
        for size in options.nesting.sizes
    ]
    print_table(("dimensions", "validation", "test"), rows, f"top-1 accuracy, {len(result.classifier.labels)} labels")
    note(f"{result.stopped} after {len(result.history)} epochs; the weights of epoch {result.best_epoch} are in {out}")
