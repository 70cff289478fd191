"""Labelled texts that a classifier can learn, and options that train it fast."""

import numpy as np

from models import ClassificationOptions, LabelledText, Nesting
from tests.conftest import WORDS

NESTING = Nesting((2, 8, 32))
LABELS = 12


def make_items(count=900, seed=0):
    """Texts of three of their label's own twenty words and three random words."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(count):
        label = int(rng.integers(LABELS))
        own, others = WORDS[label * 20 : label * 20 + 20], WORDS
        words = [*rng.choice(own, 3), *rng.choice(others, 3)]
        split = ("train", "train", "train", "valid", "test")[number % 5]
        items.append(LabelledText(" ".join(words), f"label {label}", split))
    return items


def options(**changes):
    return ClassificationOptions(
        **{
            "nesting": NESTING,
            "epochs": 8,
            "batch_size": 64,
            "learning_rate": 0.3,
            "token_dropout": 0.1,
            "patience": 8,
            **changes,
        }
    )
