"""Base losses on embeddings, and the Matryoshka loss that applies any of them to every prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import InvalidOptionError
from models.nesting import Nesting

_NO_SCORE = -1e4
"""Below every score divided by a temperature; its softmax is 0."""


def weighted_sum(losses: Mapping[int, Tensor], nesting: Nesting) -> Tensor:
    """Return Σₘ cₘ · Lₘ, the weighted sum of the losses of all sizes (MRL, equation 1).

    Args:
        losses: a scalar for each of the nesting's sizes, by size.
        nesting: the sizes m and their weights cₘ.

    Raises:
        InvalidOptionError: the losses have other sizes than the nesting.
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
    """Apply a base loss to every prefix: Σₘ cₘ · loss of the first m dimensions (MRL, equation 1).

    Each prefix is normalised separately, as in the paper's contrastive training (section 3, ALIGN).

    Args:
        loss: takes one prefix per embedding, in the same order, and returns a scalar; bind further arguments with
            ``functools.partial``.
        embeddings: each of shape (…, D), any scale.
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
    """InfoNCE with in-batch and hard negatives (van den Oord et al. 2018, equation 4).

    Document i belongs to query i. All other documents are negatives: those of the other queries, and the hard
    negatives after row n, which belong to no query.

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), N ≥ n, unit rows.
        temperature: divisor of cosines.
        exclude: bool, shape (n, N), True if document j is not a negative for query i, such as a duplicate of its
            document. The diagonal must be False.

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
    """Listwise distillation: KL divergence between the teacher's and the student's ranking of the documents.

    Σᵢ KL(softmax(tᵢ/τ) ‖ softmax(sᵢ/τ)) / n, where row i of s holds the student's scores for query i and row i of t
    the teacher's (Hinton et al. 2015, section 2; over a list of documents as in Reddi et al. 2021, RankDistil).

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        scores: shape (n, N), the teacher's cosines.
        temperature: τ, of both softmaxes.
        exclude: bool, shape (n, N), True if document j is not in the list of query i.

    Returns:
        A scalar; 0 if each row of the student's scores differs from the teacher's by a constant.
    """
    student_scores, teacher_scores = queries @ documents.T / temperature, scores / temperature
    if exclude is not None:
        # Finite because 0 · ∞ is not 0.
        student_scores = student_scores.masked_fill(exclude, _NO_SCORE)
        teacher_scores = teacher_scores.masked_fill(exclude, _NO_SCORE)
    student, teacher = functional.log_softmax(student_scores, dim=-1), functional.log_softmax(teacher_scores, dim=-1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def score_regression(queries: Tensor, documents: Tensor, scores: Tensor) -> Tensor:
    """Mean squared difference between the student's and the teacher's cosines (similarity-preserving distillation).

    Args:
        queries: shape (n, m), unit rows.
        documents: shape (N, m), unit rows.
        scores: shape (n, N), the teacher's cosines.
    """
    return functional.mse_loss(queries @ documents.T, scores)


def cosine_regression(vectors: Tensor, targets: Tensor) -> Tensor:
    """Mean of 1 − cosine between each vector and its target.

    Under :func:`matryoshka` both are cut, so the targets must have the dimension of the vectors, with the most
    important directions first (by PCA, for example).

    Args:
        vectors, targets: shape (n, m), unit rows.
    """
    return 1 - (vectors * targets).sum(dim=-1).mean()


def same_text(queries: list[str], documents: list[str]) -> Tensor:
    """Return which documents are not negatives: bool, shape (n, N), True if i ≠ j share a query or a document text.

    Args:
        queries: n texts.
        documents: N ≥ n texts; those after the n-th are hard negatives.
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
