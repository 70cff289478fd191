"""Labelled texts split into what is learned from and what is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from models.data.labelled_texts import LabelledText
from models.errors import DataError, InvalidOptionError


def evaluation_parts(
    items: Sequence[LabelledText], test_share: float = 0.2, limit: int | None = None, seed: int = 0
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Split into (training, test), as the items say; where none says, by a seeded draw.

    Where there is a split, ``valid`` items are left out and items without one train. In a draw, repeats of a text are
    dropped, and ``test_share`` of each label's texts, rounded down, are test.

    Args:
        items: at least one.
        test_share: above 0 and under 1; not looked at where the items say.
        limit: keep a seeded sample of so many items of both parts together.
        seed: of the draw and the sample.

    Raises:
        InvalidOptionError: ``test_share`` or ``limit`` is out of bounds.
        DataError: a part is left without items.
    """
    if not 0 < test_share < 1:
        raise InvalidOptionError("test_share", f"test share {test_share}: give one above 0 and under 1")
    if limit is not None and limit < 2:
        raise InvalidOptionError("limit", f"limit {limit}: give at least 2")
    rng = np.random.default_rng(seed)
    if any(item.split for item in items):
        used = [(item, item.split == "test") for item in items if item.split != "valid"]
    else:
        used = _drawn(items, test_share, rng)
    if limit is not None and limit < len(used):
        used = [used[i] for i in np.sort(rng.choice(len(used), limit, replace=False))]
    parts = [item for item, test in used if not test], [item for item, test in used if test]
    for name, part in zip(("training", "test"), parts, strict=True):
        if not part:
            splits = dict(Counter(item.split or "(none)" for item in items))
            raise DataError(f"{name} part without a text: the splits of the {len(items)} labelled texts are {splits}")
    return parts


def _drawn(items: Sequence[LabelledText], share: float, rng: np.random.Generator) -> list[tuple[LabelledText, bool]]:
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
