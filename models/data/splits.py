"""What every split of labelled items shares: the names of the parts and the checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from models.errors import InvalidOptionError

SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}
"""What a split may be called in a file, and the part it goes to."""

FEWEST_ITEMS = 20
FEWEST_LABELS = 2


class Labelled(Protocol):
    """An item with a label and a split: ``train``, ``valid``, ``test`` or empty."""

    @property
    def label(self) -> str:
        """The label."""
        ...

    @property
    def split(self) -> str:
        """The part the item belongs to; empty if the data does not say."""
        ...


_Item = TypeVar("_Item", bound=Labelled)


def check_validation_share(share: float) -> None:
    """Check the share of items held out for validation.

    Raises:
        InvalidOptionError: the share is not above 0 and at most 0.5.
    """
    if not 0 < share <= 0.5:
        raise InvalidOptionError("validation", f"validation share {share}: give one above 0 and up to 0.5")


def given_parts(items: Iterable[_Item]) -> dict[str, list[_Item]]:
    """Sort items into ``train``, ``valid`` and ``test`` by their own splits; items without one go to ``train``."""
    parts: dict[str, list[_Item]] = {"train": [], "valid": [], "test": []}
    for item in items:
        parts[item.split or "train"].append(item)
    return parts


def check_enough(parts: Mapping[str, Sequence[Labelled]], kind: str) -> None:
    """Check that the training part can train a classifier.

    Args:
        parts: by name, as :func:`given_parts` returns them.
        kind: what the items are, for the message.

    Raises:
        InvalidOptionError: fewer than 20 items or 2 labels.
    """
    train = parts["train"]
    labels = {item.label for item in train}
    if len(train) < FEWEST_ITEMS or len(labels) < FEWEST_LABELS:
        raise InvalidOptionError(
            "labels",
            f"{len(train)} {kind} with {len(labels)} labels to train on: give at least {FEWEST_ITEMS} of them and "
            f"{FEWEST_LABELS} labels",
        )
