"""Labelled texts prepared for training: tokens counted once, labels numbered."""

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

    >>> parts = split_labelled(read_labelled(["news.jsonl"]).items, 0.1, seed=0)
    >>> data = ClassificationData.prepare(parts, load_encoder("wordllama"))
    >>> trained = train_classifier(data, ClassificationOptions())

    Attributes:
        base: the static encoder to train from.
        labels: the labels of the training part, sorted; a label's index is its number.
        train, valid, test: token counts, shape (n, vocabulary).
        train_targets, valid_targets, test_targets: label numbers, shape (n,); -1 for a label without training texts.
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
            parts: ``train``, ``valid`` and ``test``, as :func:`models.split_labelled` returns them.
            base: a static encoder.

        Raises:
            InvalidOptionError: the base is not a static encoder.
        """
        if not isinstance(base, StaticEncoder):
            raise InvalidOptionError(
                "base",
                f"base {base.name!r} is not a static encoder: give one, such as 'wordllama'",
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
        """Return the numbers of training and validation texts."""
        return {"training": len(self.train_targets), "validation": len(self.valid_targets)}
