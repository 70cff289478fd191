"""Labelled texts for classification, read from rows, and their split into training, validation and test parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.data.items import Rejected, read_items, text_of
from models.data.rows import BrokenRow, read_rows
from models.data.splits import SPLITS, check_enough, check_validation_share, given_parts
from models.errors import RejectedRowError


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its label; ``split`` is ``train``, ``valid``, ``test``, or empty if the file does not say."""

    text: str
    label: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Labelled texts read from files, and the rejected rows: (file, line, reason)."""

    items: list[LabelledText]
    rejected: Rejected


def is_labelled(path: str | Path, *, label_field: str = "label", query_field: str = "query") -> bool:
    """Return whether a file holds labelled texts rather than pairs: its first readable row has a label and no query.

    Raises:
        DataError: the file cannot be read.
    """
    first = next((row for row in read_rows(path) if not isinstance(row, BrokenRow)), None)
    return first is not None and label_field in first.fields and query_field not in first.fields


def read_labelled(
    paths: Iterable[str | Path], *, text_field: str = "text", label_field: str = "label", split_field: str = "split"
) -> LabelledFile:
    """Read labelled texts from files of rows; see :func:`models.data.rows.read_rows` for the formats.

    A label is text or an integer. Rows that cannot be read, lack a text or label, or have an unknown split are skipped
    and listed.

    Args:
        paths: the files.
        text_field, label_field, split_field: names of the fields.

    Raises:
        DataError: a file cannot be read, or no row of any file gives a labelled text.
    """

    def parse(fields: dict[str, Any]) -> LabelledText:
        text, label = (_text_or_number(fields.get(field)) for field in (text_field, label_field))
        split = str(fields.get(split_field) or "").lower()
        if not text or not label:
            missing = label_field if text else text_field
            raise RejectedRowError(f"nothing in field {missing!r}, row has {sorted(fields)}")
        if split and split not in SPLITS:
            raise RejectedRowError(f"split {split!r}: known are {', '.join(SPLITS)}")
        return LabelledText(text, label, SPLITS.get(split, ""))

    return LabelledFile(*read_items(paths, parse, kind="labelled text", options="--text-field, --label-field"))


def _text_or_number(value: Any) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_of(value)


def split_labelled(items: Sequence[LabelledText], validation: float, seed: int) -> dict[str, list[LabelledText]]:
    """Split items into ``train``, ``valid`` and ``test``.

    Items go where their own split says, and to ``train`` without one. If none says ``valid``, a seeded sample of the
    training part is held out. Exact duplicates are dropped, and so are training texts that occur in another part.

    Args:
        items: with at least 20 texts and two labels to train on.
        validation: share of the training part to hold out, above 0 and up to 0.5.
        seed: seed of the sample.

    Raises:
        InvalidOptionError: a share out of bounds, or too few texts or labels.
    """
    check_validation_share(validation)
    parts = given_parts(dict.fromkeys(items))
    if not parts["valid"]:
        order = np.random.default_rng(seed).permutation(len(parts["train"]))
        count = max(1, round(validation * len(order)))
        everything = parts["train"]
        parts["valid"] = [everything[i] for i in order[:count]]
        parts["train"] = [everything[i] for i in order[count:]]
    known = {item.text for part in ("valid", "test") for item in parts[part]}
    parts["train"] = [item for item in parts["train"] if item.text not in known]
    check_enough(parts, "different texts")
    return parts
