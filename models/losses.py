"""The Matryoshka loss over a contrastive base loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.nesting import Nesting


def info_nce(queries: Tensor, documents: Tensor, temperature: float, exclude: Tensor | None = None) -> Tensor:
    """InfoNCE with in-batch negatives (van den Oord et al. 2018, equation 4): row i of each side belongs together.

    Args:
        queries, documents: shape (n, m), unit rows.
        temperature: what cosines are divided by.
        exclude: bool, shape (n, n), True where document j is no negative for query i (it says the same as i's own).
            The diagonal must be False.

    Returns:
        The mean cross-entropy, a scalar.
    """
    scores = queries @ documents.T / temperature
    if exclude is not None:
        scores = scores.masked_fill(exclude, float("-inf"))
    return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def matryoshka_info_nce(
    queries: Tensor, documents: Tensor, nesting: Nesting, temperature: float, exclude: Tensor | None = None
) -> tuple[Tensor, dict[int, float]]:
    """The same loss on every prefix, weighted: Σₘ cₘ · InfoNCE of the first m dimensions (MRL, equation 1).

    Each prefix is normalised on its own, as the paper does for contrastive training (section 3, ALIGN).

    Args:
        queries, documents: shape (n, D), any scale.
        nesting: sizes and weights; the last size is D.
        temperature, exclude: see :func:`info_nce`.

    Returns:
        The weighted sum, and the unweighted loss of each size as numbers for a log.
    """
    losses = {}
    for size in nesting.sizes:
        query_prefixes, document_prefixes = (
            functional.normalize(side[:, :size], dim=-1) for side in (queries, documents)
        )
        losses[size] = info_nce(query_prefixes, document_prefixes, temperature, exclude)
    total = torch.stack([weight * losses[size] for size, weight in zip(nesting.sizes, nesting.weights, strict=True)])
    return total.sum(), {size: float(loss.detach()) for size, loss in losses.items()}


def same_text(queries: list[str], documents: list[str]) -> Tensor:
    """Mark in-batch pairs that are no negatives: bool (n, n), True where i ≠ j share a query or a document text."""
    marks = torch.zeros(len(queries), len(queries), dtype=torch.bool)
    for texts in (queries, documents):
        number: dict[str, int] = {}
        codes = torch.tensor([number.setdefault(text, len(number)) for text in texts])
        marks |= codes[:, None] == codes[None, :]
    return marks.fill_diagonal_(False)
