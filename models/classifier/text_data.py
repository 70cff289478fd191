"""Labelled texts made ready for training: tokens counted once, labels numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from models.classifier.classifier import Targets
from models.data.labelled_texts import LabelledText
from models.encoders.base import Encoder
from models.encoders.static import StaticEncoder
from models.errors import InvalidOptionError


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationData:
    """Texts as token counts over a base's vocabulary, with numbered labels.

    Attributes:
        base: the static table that is trained from.
        labels: all labels of the training part, sorted; a label's place is its number.
        train, valid, test: counts, shape (n, vocabulary).
        train_targets, valid_targets, test_targets: label numbers, shape (n,); -1 for a label that no training text
            has.
    """

    base: StaticEncoder
    labels: tuple[str, ...]
    train: csr_array
    train_targets: Targets
    valid: csr_array
    valid_targets: Targets
    test: csr_array
    test_targets: Targets

    @classmethod
    def prepare(cls, parts: Mapping[str, Sequence[LabelledText]], base: Encoder) -> ClassificationData:
        """Count tokens and number labels.

        Args:
            parts: ``train``, ``valid`` and ``test``, as :func:`models.data.labelled_texts.split_labelled` gives them.
            base: a static table.

        Raises:
            InvalidOptionError: another kind of base.
        """
        if not isinstance(base, StaticEncoder):
            raise InvalidOptionError(
                "base",
                f"base {base.name!r} is no static table; a classifier is trained from one, such as 'wordllama'",
            )
        labels = tuple(sorted({item.label for item in parts["train"]}))
        number = {label: place for place, label in enumerate(labels)}
        counts, targets = {}, {}
        for part, items in parts.items():
            counts[part] = base.token_counts([item.text for item in items])
            counts[part].sum_duplicates()
            targets[part] = np.array([number.get(item.label, -1) for item in items], np.int64)
        return cls(
            base,
            labels,
            counts["train"],
            targets["train"],
            counts["valid"],
            targets["valid"],
            counts["test"],
            targets["test"],
        )

    def counts(self) -> dict[str, int]:
        """How many texts there are to train and to validate on."""
        return {"training": len(self.train_targets), "validation": len(self.valid_targets)}
