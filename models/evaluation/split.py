"""Splits labelled texts into a training and a test part for evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from models.data.labelled_texts import LabelledText
from models.errors import DataError, InvalidOptionError


def evaluation_parts(
    items: Sequence[LabelledText], *, test_share: float = 0.2, limit: int | None = None, seed: int = 0
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Split items into (training, test) by their own splits or, if none has a split, by a seeded sample.

    If any item has a split, ``valid`` items are left out and items without a split are used for training. A sample
    drops repeated texts and tests on ``test_share`` of each label's texts, rounded down.

    Args:
        items: at least one item.
        test_share: above 0 and below 1; ignored if the items have splits.
        limit: largest number of items of both parts together; more are sampled.
        seed: seed of both samples.

    Raises:
        InvalidOptionError: ``test_share`` or ``limit`` is out of bounds.
        DataError: a part has no items.
    """
    if not 0 < test_share < 1:
        raise InvalidOptionError("test_share", f"test share {test_share}: give one above 0 and below 1")
    if limit is not None and limit < 2:
        raise InvalidOptionError("limit", f"limit {limit}: give at least 2")
    rng = np.random.default_rng(seed)
    if any(item.split for item in items):
        used = [(item, item.split == "test") for item in items if item.split != "valid"]
    else:
        used = _sampled(items, test_share, rng)
    if limit is not None and limit < len(used):
        used = [used[i] for i in np.sort(rng.choice(len(used), limit, replace=False))]
    parts = [item for item, test in used if not test], [item for item, test in used if test]
    for name, part in zip(("training", "test"), parts, strict=True):
        if not part:
            splits = dict(Counter(item.split or "(none)" for item in items))
            raise DataError(f"the {name} part is empty: the splits of the {len(items)} labelled texts are {splits}")
    return parts


def _sampled(items: Sequence[LabelledText], share: float, rng: np.random.Generator) -> list[tuple[LabelledText, bool]]:
    first = {item.text: item for item in reversed(items)}
    kept = [first[text] for text in dict.fromkeys(item.text for item in items)]
    total = Counter(item.label for item in kept)
    seen: Counter[str] = Counter()
    test = [False] * len(kept)
    for i in rng.permutation(len(kept)):
        label = kept[i].label
        test[i] = seen[label] < int(share * total[label])
        seen[label] += 1
    return list(zip(kept, test, strict=True))
