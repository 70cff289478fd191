"""Labelled texts for classification: read from rows, and split into training, validation and test parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.data.rows import BrokenRow, read_rows
from models.errors import DataError, InvalidOptionError

SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}
"""What a row's split may be called, and the part it goes to."""


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its label; ``split`` is ``train``, ``valid``, ``test``, or empty where the file does not say."""

    text: str
    label: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Labelled texts as read, and the rows that were passed over: (file, line, reason)."""

    items: list[LabelledText]
    rejected: list[tuple[str, int, str]]


def is_labelled(path: Path, label_field: str, query_field: str) -> bool:
    """Tell whether a file's first readable row has a label and no query: labelled texts and not pairs.

    Raises:
        DataError: the file cannot be read.
    """
    first = next((row for row in read_rows(path) if not isinstance(row, BrokenRow)), None)
    return first is not None and label_field in first.fields and query_field not in first.fields


def read_labelled(
    paths: Iterable[Path], text_field: str = "text", label_field: str = "label", split_field: str = "split"
) -> LabelledFile:
    """Read labelled texts from ``.jsonl[.gz|.zst]``, ``.csv``, ``.tsv`` or ``.parquet`` files.

    A label may be text or a whole number. Rows that cannot be read, lack text or label, or have an unknown split are
    passed over and listed.

    Raises:
        DataError: a file cannot be read, or no row of any file gives a labelled text.
    """
    items: list[LabelledText] = []
    rejected: list[tuple[str, int, str]] = []
    for path in paths:
        for row in read_rows(path):
            if isinstance(row, BrokenRow):
                rejected.append((str(path), row.number, row.reason))
                continue
            text, label = _text(row.fields.get(text_field)), _text(row.fields.get(label_field))
            split = str(row.fields.get(split_field) or "").lower()
            if not text or not label:
                missing = label_field if text else text_field
                rejected.append((str(path), row.number, f"nothing in field {missing!r}, row has {sorted(row.fields)}"))
            elif split and split not in SPLITS:
                rejected.append((str(path), row.number, f"split {split!r}: known are {', '.join(SPLITS)}"))
            else:
                items.append(LabelledText(text, label, SPLITS.get(split, "")))
    if not items:
        first = f"; the first problem: {rejected[0][0]} line {rejected[0][1]}: {rejected[0][2]}" if rejected else ""
        raise DataError(
            f"no labelled text in {len(rejected)} rows{first}. Name the fields by --text-field, --label-field"
        )
    return LabelledFile(items, rejected)


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    try:
        value.encode()  # a lone surrogate cannot be tokenized
    except UnicodeEncodeError:
        return ""
    return value.strip()


def split_labelled(items: Sequence[LabelledText], validation: float, seed: int) -> dict[str, list[LabelledText]]:
    """Split into ``train``, ``valid`` and ``test``, as the items say; where none says ``valid``, by a seeded draw.

    Items without a split train, apart from those drawn. Exact repeats are dropped, and a training text that stands
    in another part too: it would be known there.

    Args:
        items: with at least two labels among those that train.
        validation: share of the training part that is drawn, between 0 and 0.5.

    Raises:
        InvalidOptionError: a share out of bounds, or too few texts or labels.
    """
    if not 0 < validation <= 0.5:
        raise InvalidOptionError("validation", f"validation share {validation}: give one above 0 and up to 0.5")
    parts: dict[str, list[LabelledText]] = {"train": [], "valid": [], "test": []}
    for item in dict.fromkeys(items):
        parts[item.split or "train"].append(item)
    if not parts["valid"]:
        order = np.random.default_rng(seed).permutation(len(parts["train"]))
        count = max(1, round(validation * len(order)))
        everything = parts["train"]
        parts["valid"] = [everything[i] for i in order[:count]]
        parts["train"] = [everything[i] for i in order[count:]]
    known = {item.text for part in ("valid", "test") for item in parts[part]}
    parts["train"] = [item for item in parts["train"] if item.text not in known]
    labels = {item.label for item in parts["train"]}
    if len(parts["train"]) < 20 or len(labels) < 2:
        raise InvalidOptionError(
            "labels",
            f"{len(parts['train'])} different texts with {len(labels)} labels to train on: give at least 20 texts and "
            "2 labels",
        )
    return parts
