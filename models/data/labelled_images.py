"""Labelled images for classification, listed from one folder per label, and their split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.images import is_image_file
from models.data.splits import SPLITS, check_enough, check_validation_share, given_parts
from models.errors import DataError


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and its label; ``split`` is ``train``, ``valid``, ``test``, or empty if no folder says."""

    path: Path
    label: str
    split: str = ""


def list_labelled_images(folder: str | Path) -> list[LabelledImage]:
    """List ``FOLDER/LABEL/…/IMAGE`` or, if its folders are named like splits, ``FOLDER/SPLIT/LABEL/…/IMAGE``.

    Returns:
        The images in the order of their paths. They are not opened.

    Raises:
        DataError: an image is in no label's folder, or there is no image at all.
    """
    folder = Path(folder)
    items = []
    for path in sorted(folder.rglob("*")):
        if not is_image_file(path):
            continue
        *folders, _ = path.relative_to(folder).parts
        split = SPLITS.get(folders[0].lower(), "") if folders else ""
        if len(folders) < (2 if split else 1):
            raise DataError(f"{path} is in no label's folder: {folder} must hold one folder of images per label")
        items.append(LabelledImage(path, folders[1 if split else 0], split))
    if not items:
        raise DataError(f"{folder} holds no image: it must hold one folder of images per label")
    return items


def split_labelled_images(
    items: Sequence[LabelledImage], validation: float, seed: int
) -> dict[str, list[LabelledImage]]:
    """Split items into ``train``, ``valid`` and ``test``.

    Items go where their own split says, and to ``train`` without one. If none says ``valid``, a seeded sample of each
    label's training images is held out.

    Args:
        items: with at least 20 images and two labels to train on.
        validation: share of each label's training images to hold out, above 0 and up to 0.5.
        seed: seed of the sample.

    Raises:
        InvalidOptionError: a share out of bounds, or too few images or labels.
    """
    check_validation_share(validation)
    parts = given_parts(items)
    if not parts["valid"]:
        order = np.random.default_rng(seed).permutation(len(parts["train"]))
        shuffled = [parts["train"][place] for place in order]
        by_label: dict[str, list[LabelledImage]] = {}
        for item in shuffled:
            by_label.setdefault(item.label, []).append(item)
        drawn = {item for group in by_label.values() for item in group[: round(validation * len(group))]}
        parts["valid"] = [item for item in shuffled if item in drawn] or shuffled[:1]
        held_out = set(parts["valid"])
        parts["train"] = [item for item in shuffled if item not in held_out]
    check_enough(parts, "images")
    return parts
