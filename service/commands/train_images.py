"""``mrl train`` on a folder of labelled images."""

from __future__ import annotations

from pathlib import Path

from models.classifier.image_options import ImageTrainingOptions
from models.data.labelled_images import list_labelled_images, split_labelled_images
from models.directory.output import check_output
from service.commands.output import note_skipped
from service.commands.progress import TrainingProgress
from service.commands.train_labelled import print_result


def train_on_images(
    folder: Path, base: str | None, out: Path, options: ImageTrainingOptions, validation: float, restart: bool
) -> None:
    """Train a vision model with a classifier, write it to ``out`` and print its accuracy by prefix size.

    Args:
        folder: contains a folder of images per label, optionally inside folders ``train``, ``valid`` and ``test``.
        base: model with an image encoder to start from; a small new one if None.
        out: directory of the model.
        options: training options.
        validation: share of the images held out, unless there is a folder ``valid``.
        restart: overwrite an earlier model or checkpoint in ``out``.
    """
    # torch takes seconds to import, and --help need not wait for it
    from models.classifier.images import save_image_classifier, train_images

    check_output(out, restart)
    parts = split_labelled_images(list_labelled_images(folder), validation, options.seed)
    with TrainingProgress("images") as progress:
        result = train_images(parts, options, base, out=out, report=progress.report)
    note_skipped(result.rejected, "images")
    save_image_classifier(result, out, options, base)
    print_result(result, out)
