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
    """Train a vision model and its classifier, write it to ``out`` and print its accuracy by size.

    Args:
        folder: holds a folder of images for each label, perhaps below folders ``train``, ``valid`` and ``test``.
        base: a model with an image side to train from; a small new one where None.
        out: the model's directory.
        options: what decides the run.
        validation: share held out where no folder says ``valid``.
        restart: delete an earlier model or checkpoint in ``out`` and begin anew.
    """
    # torch takes seconds to import, which --help need not wait for
    from models.classifier.images import save_image_classifier, train_images

    check_output(out, restart)
    parts = split_labelled_images(list_labelled_images(folder), validation, options.seed)
    with TrainingProgress("images") as progress:
        result = train_images(parts, options, base, out=out, report=progress.report)
    note_skipped(result.rejected, "images")
    save_image_classifier(result, out, options, base)
    print_result(result, out)
