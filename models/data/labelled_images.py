"""Labelled images for classification: a folder for each label, and their split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.images import is_image_file
from models.data.labelled_texts import SPLITS
from models.errors import DataError, InvalidOptionError


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and its label; ``split`` is ``train``, ``valid``, ``test``, or empty where no folder says."""

    path: Path
    label: str
    split: str = ""


def list_labelled_images(folder: Path) -> list[LabelledImage]:
    """List ``FOLDER/LABEL/…/IMAGE`` or, where its folders are named as splits, ``FOLDER/SPLIT/LABEL/…/IMAGE``.

    Returns:
        The images in the order of their paths. They are not opened.

    Raises:
        DataError: an image with no folder to give its label, or no image at all.
    """
    items = []
    for path in sorted(folder.rglob("*")):
        if not is_image_file(path):
            continue
        *folders, _ = path.relative_to(folder).parts
        split = SPLITS.get(folders[0].lower(), "") if folders else ""
        if len(folders) < (2 if split else 1):
            raise DataError(f"{path} is in no label's folder: {folder} must hold a folder of images for each label")
        items.append(LabelledImage(path, folders[1 if split else 0], split))
    if not items:
        raise DataError(f"{folder} holds no image: it must hold a folder of images for each label")
    return items


def split_labelled_images(
    items: Sequence[LabelledImage], validation: float, seed: int
) -> dict[str, list[LabelledImage]]:
    """Split into ``train``, ``valid`` and ``test``, as the items say; where none says ``valid``, by a seeded draw.

    Args:
        items: with at least two labels among those that train.
        validation: share of the training part that is drawn from each label, between 0 and 0.5.

    Raises:
        InvalidOptionError: a share out of bounds, or too few images or labels.
    """
    if not 0 < validation <= 0.5:
        raise InvalidOptionError("validation", f"validation share {validation}: give one above 0 and up to 0.5")
    parts: dict[str, list[LabelledImage]] = {"train": [], "valid": [], "test": []}
    for item in items:
        parts[item.split or "train"].append(item)
    if not parts["valid"]:
        order = np.random.default_rng(seed).permutation(len(parts["train"]))
        shuffled = [parts["train"][place] for place in order]
        of_label: dict[str, list[LabelledImage]] = {}
        for item in shuffled:
            of_label.setdefault(item.label, []).append(item)
        drawn = {item for group in of_label.values() for item in group[: round(validation * len(group))]}
        parts["valid"] = [item for item in shuffled if item in drawn] or shuffled[:1]
        parts["train"] = [item for item in shuffled if item not in set(parts["valid"])]
    labels = {item.label for item in parts["train"]}
    if len(parts["train"]) < 20 or len(labels) < 2:
        raise InvalidOptionError(
            "labels",
            f"{len(parts['train'])} images with {len(labels)} labels to train on: give at least 20 images and 2 labels",
        )
    return parts
