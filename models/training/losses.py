"""Base losses on embeddings, and the Matryoshka loss that puts any of them on every prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import InvalidOptionError
from models.nesting import Nesting

_NO_SCORE = -1e4
"""Under any score over any temperature; its softmax is 0."""


def weighted_sum(losses: Mapping[int, Tensor], nesting: Nesting) -> Tensor:
    """Σₘ cₘ · Lₘ (MRL, equation 1): one number out of the losses of all sizes.

    Args:
        losses: a scalar for each of the nesting's sizes, by size.
        nesting: the sizes m and their weights cₘ.

    Raises:
        InvalidOptionError: the losses are of other sizes than the nesting's.
    """
    if set(losses) != set(nesting.sizes):
        raise InvalidOptionError(
            "losses", f"losses of sizes {sorted(losses)}: give one for each of {list(nesting.sizes)}"
        )
    return torch.stack(
        [weight * losses[size] for size, weight in zip(nesting.sizes, nesting.weights, strict=True)]
    ).sum()


def matryoshka(
    loss: Callable[..., Tensor], embeddings: Sequence[Tensor], nesting: Nesting
) -> tuple[Tensor, dict[int, Tensor]]:
    """Put a base loss on every prefix: Σₘ cₘ · loss of the first m dimensions (MRL, equation 1).

    Each prefix is normalised on its own, as the paper does for contrastive training (section 3, ALIGN).

    Args:
        loss: takes the prefixes, in the order of the embeddings, and returns a scalar; further arguments of a base
            loss are bound beforehand (``functools.partial``).
        embeddings: each of shape (…, D), any scale; their number and first dimensions are the base loss's concern.
        nesting: sizes and weights; the last size is D.

    Returns:
        The weighted sum, and the unweighted loss of each size.
    """
    losses = {
        size: loss(*(functional.normalize(embedding[..., :size], dim=-1) for embedding in embeddings))
        for size in nesting.sizes
    }
    return weighted_sum(losses, nesting), losses


def info_nce(queries: Tensor, documents: Tensor, temperature: float, exclude: Tensor | None = None) -> Tensor:
    """InfoNCE with in-batch and given negatives (van den Oord et al. 2018, equation 4).

    Document i belongs to query i. Every other document is a negative: those of the other queries, and those after
    row n, which belong to no query (hard negatives).

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), N ≥ n, unit rows.
        temperature: what cosines are divided by.
        exclude: bool, shape (n, N), True where document j is no negative for query i (it says the same as i's own).
            The diagonal must be False.

    Returns:
        The mean cross-entropy, a scalar.
    """
    scores = queries @ documents.T / temperature
    if exclude is not None:
        scores = scores.masked_fill(exclude, float("-inf"))
    return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def score_distillation(
    queries: Tensor, documents: Tensor, scores: Tensor, temperature: float, exclude: Tensor | None = None
) -> Tensor:
    """Listwise distillation: KL divergence of the student's ranking of the documents from the teacher's.

    Σᵢ KL(softmax(tᵢ/τ) ‖ softmax(sᵢ/τ)) / n, where row i of s holds the student's scores for query i and row i of t
    the teacher's (Hinton et al. 2015, section 2; over a list of documents as in Reddi et al. 2021, RankDistil).

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        scores: shape (n, N), the teacher's cosines.
        temperature: τ, for both sides.
        exclude: bool, shape (n, N), True where document j does not belong to the list of query i.

    Returns:
        A scalar, 0 where the student's scores differ from the teacher's by no more than a constant in each row.
    """
    found, wanted = queries @ documents.T / temperature, scores / temperature
    if exclude is not None:
        # Finite, because 0 · ∞ is not 0.
        found, wanted = found.masked_fill(exclude, _NO_SCORE), wanted.masked_fill(exclude, _NO_SCORE)
    student, teacher = functional.log_softmax(found, dim=-1), functional.log_softmax(wanted, dim=-1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def score_regression(queries: Tensor, documents: Tensor, scores: Tensor) -> Tensor:
    """Mean squared difference of the student's cosines from the teacher's (similarity-preserving distillation).

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        scores: shape (n, N), the teacher's cosines.
    """
    return functional.mse_loss(queries @ documents.T, scores)


def cosine_regression(vectors: Tensor, targets: Tensor) -> Tensor:
    """Mean of 1 − cosine between each vector and its target.

    Under :func:`matryoshka` both are cut, so targets order their information into prefixes (by PCA, say) and are as
    wide as the vectors.

    Args:
        vectors, targets: shape (n, m), unit rows.
    """
    return 1 - (vectors * targets).sum(dim=-1).mean()


def same_text(queries: list[str], documents: list[str]) -> Tensor:
    """Mark in-batch pairs that are no negatives: bool (n, N), True where i ≠ j share a query or a document text.

    Args:
        queries: n texts.
        documents: N ≥ n texts; those after the n-th are hard negatives and belong to no query.
    """
    n = len(queries)
    marks = torch.zeros(n, len(documents), dtype=torch.bool)
    marks[:, :n] |= _equal(queries, queries)
    marks |= _equal(documents[:n], documents)
    return marks.fill_diagonal_(False)


def _equal(left: list[str], right: list[str]) -> Tensor:
    number: dict[str, int] = {}
    codes = [torch.tensor([number.setdefault(text, len(number)) for text in texts]) for texts in (left, right)]
    return codes[0][:, None] == codes[1][None, :]
