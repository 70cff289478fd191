"""Baselines of Matryoshka training: short vectors derived from a model trained at full dimension only.

Each baseline maps the D-dimensional fixed-feature (FF-D) vectors such that the first m components are the short
vector, so a single nested probe measures all sizes. FF at every size and slimmable training are kinds of
:func:`models.train_classifier`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models.classifier.classifier import LinearHeads
from models.classifier.heads import FEATURE_LENGTH, MRLHead, linear_heads
from models.nesting import Nesting, Vectors
from models.training.losses import weighted_sum

_EPOCHS = 10
_BATCH = 1024
_STEPS = 32
"""Fewest steps per epoch, however few vectors there are."""
_LEARNING_RATE = 0.02


def random_features(dimension: int, seed: int) -> Vectors:
    """Return a permutation matrix, shape (D, D), that puts the features in random order: any first m are a random m."""
    chosen: Vectors = np.eye(dimension, dtype=np.float32)[:, np.random.default_rng(seed).permutation(dimension)]
    return chosen


def principal_components(train: Vectors) -> Vectors:
    """Return the orthogonal map, shape (D, D), onto the training vectors' right singular vectors, largest first.

    Vectors are not centred, so cosines at full dimension are preserved.
    """
    values, components = np.linalg.eigh((train.T @ train).astype(np.float64))
    ordered: Vectors = components[:, np.argsort(-values)].astype(np.float32)
    return ordered


def low_rank_logits(heads: LinearHeads, vectors: Vectors, sizes: Sequence[int]) -> dict[int, Vectors]:
    """Logits of the FF-D classifier truncated to rank m by SVD, W ≈ Uₘ Sₘ Vₘᵀ (the paper's SVD baseline).

    Vₘᵀ z is the m-dimensional feature and Uₘ Sₘ its classifier; nothing is trained.

    Args:
        heads: the classifier at the single size D.
        vectors: shape (n, D), unit rows.
        sizes: ranks m; a rank above that of W gives W.

    Returns:
        Shape (n, L) by size.
    """
    dimension = heads.sizes[-1]
    left, singular, right = np.linalg.svd(heads.weights[dimension], full_matrices=False)
    features = vectors @ right.T
    return {size: features[:, :size] @ (left * singular)[:, :size].T + heads.biases[dimension] for size in sizes}


def int8(vectors: Vectors) -> Vectors:
    """Quantise each row to 255 levels scaled by its largest component: m bytes instead of float32's 4 m.

    Args:
        vectors: shape (n, m).

    Returns:
        The quantised values as float32, shape (n, m).
    """
    scale = np.abs(vectors).max(axis=1, keepdims=True) / 127
    rounded: Vectors = (np.round(vectors / np.where(scale > 0, scale, 1)) * scale).astype(np.float32)
    return rounded


def one_bit(vectors: Vectors) -> Vectors:
    """Keep the sign of each component, ± 1/√m: m/8 bytes instead of float32's 4 m.

    Args:
        vectors: shape (n, m).

    Returns:
        The signs as float32 unit rows, shape (n, m).
    """
    signs: Vectors = (np.where(vectors >= 0, 1, -1) / np.sqrt(vectors.shape[1])).astype(np.float32)
    return signs


def probe(vectors: Vectors, targets: npt.NDArray[np.int64], classes: int, nesting: Nesting, seed: int) -> LinearHeads:
    """Train a linear classifier on every prefix of frozen vectors, all sizes in one pass.

    Takes seconds; :func:`models.evaluation.probe.linear_probe` finds the optimum of a single size and takes minutes.

    Args:
        vectors: shape (n, D).
        targets: label numbers from 0, shape (n,).
        classes: number of labels.
        nesting: the sizes.
        seed: seed of the heads and of the order.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = MRLHead(nesting, classes, FEATURE_LENGTH)
    batch = min(_BATCH, max(1, len(vectors) // _STEPS))
    steps = len(vectors) // batch
    optimizer = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps * _EPOCHS)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(vectors))
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            target = torch.from_numpy(targets[rows])
            losses = {
                size: functional.cross_entropy(logits, target)
                for size, logits in head(torch.from_numpy(vectors[rows])).items()
            }
            optimizer.zero_grad(set_to_none=True)
            weighted_sum(losses, nesting).backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
            optimizer.step()
            schedule.step()
    return linear_heads(head)
