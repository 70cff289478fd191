from functools import partial

import numpy as np
import pytest
import torch

from models import InvalidOptionError, Nesting, truncate
from models.training.losses import (
    cosine_regression,
    info_nce,
    matryoshka,
    same_text,
    score_distillation,
    score_regression,
    weighted_sum,
)


def naive(queries, documents, nesting, temperature, exclude):
    """Equation 1 of the paper over InfoNCE, one row and one size at a time."""
    total = 0.0
    for size, weight in zip(nesting.sizes, nesting.weights, strict=True):
        left, right = truncate(queries, size), truncate(documents, size)
        loss = 0.0
        for i in range(len(left)):
            scores = [float(left[i] @ right[j]) / temperature for j in range(len(right)) if j == i or not exclude[i, j]]
            own = float(left[i] @ right[i]) / temperature
            loss += np.log(np.sum(np.exp(scores))) - own
        total += weight * loss / len(left)
    return total


@pytest.mark.parametrize("excluded", [False, True])
def test_matryoshka_loss_equals_the_sum_written_out(excluded):
    rng = np.random.default_rng(3)
    queries, documents = rng.normal(size=(2, 6, 16)).astype(np.float32)
    nesting = Nesting((4, 8, 16), (3.0, 1.0, 0.5))
    exclude = np.zeros((6, 6), bool)
    if excluded:
        exclude[0, 3] = exclude[5, 1] = True
    base = partial(info_nce, temperature=0.1, exclude=torch.tensor(exclude))
    loss, by_size = matryoshka(base, (torch.tensor(queries), torch.tensor(documents)), nesting)
    assert float(loss) == pytest.approx(naive(queries, documents, nesting, 0.1, exclude), rel=1e-5)
    assert float(loss) == pytest.approx(float(3 * by_size[4] + by_size[8] + 0.5 * by_size[16]), rel=1e-5)


def test_every_prefix_is_trained():
    queries, documents = torch.randn(4, 16, requires_grad=True), torch.randn(4, 16)
    loss, _ = matryoshka(partial(info_nce, temperature=0.1), (queries, documents), Nesting((4, 16), (1.0, 1e-9)))
    loss.backward()
    assert queries.grad[:, :4].abs().sum() > 1e-3
    assert queries.grad[:, 4:].abs().sum() < 1e-6, "the first size alone does not reach beyond its prefix"


def test_info_nce_of_perfect_pairs_goes_to_zero():
    eye = torch.eye(5)
    assert float(info_nce(eye, eye, temperature=0.01)) < 1e-6


def test_same_text_marks_repeats_but_never_a_pair_itself():
    marks = same_text(["a", "b", "a"], ["x", "y", "y"])
    assert marks.tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_weighted_sum_is_equation_1_and_refuses_other_sizes():
    losses = {4: torch.tensor(1.0), 8: torch.tensor(10.0)}
    assert float(weighted_sum(losses, Nesting((4, 8), (3.0, 0.5)))) == 8.0
    with pytest.raises(InvalidOptionError, match=r"losses of sizes \[4, 8\]: give one for each of \[4, 16\]"):
        weighted_sum(losses, Nesting((4, 16)))


def test_hard_negatives_count_for_every_query():
    queries, documents = torch.randn(3, 8), torch.randn(5, 8)
    scores = (queries @ documents.T / 0.5).double().numpy()
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(scores)])
    assert float(info_nce(queries, documents, 0.5)) == pytest.approx(expected, rel=1e-5)


def test_a_hard_negative_that_says_what_the_document_says_is_none():
    marks = same_text(["a", "b"], ["x", "y", "y", "z"])
    assert marks.tolist() == [[False, False, False, False], [False, False, True, False]]


def test_score_distillation_equals_kl_written_out_and_ignores_a_shift():
    queries, documents, scores = torch.randn(3, 8), torch.randn(4, 8), torch.randn(3, 4)
    softmax = lambda rows: np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)  # noqa: E731
    teacher = softmax((scores / 0.7).double().numpy())
    student = softmax((queries @ documents.T / 0.7).double().numpy())
    expected = (teacher * np.log(teacher / student)).sum(axis=1).mean()
    assert float(score_distillation(queries, documents, scores, 0.7)) == pytest.approx(expected, rel=1e-4)
    own = queries @ documents.T
    assert float(score_distillation(queries, documents, own + 3, 0.7)) == pytest.approx(0, abs=1e-5)
    assert float(score_regression(queries, documents, own + 3)) == pytest.approx(9, rel=1e-4)


def test_cosine_regression_is_zero_at_the_target_and_two_opposite():
    vectors = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    assert float(cosine_regression(vectors, vectors)) == pytest.approx(0, abs=1e-6)
    assert float(cosine_regression(vectors, -vectors)) == pytest.approx(2, abs=1e-6)


def test_matryoshka_wraps_any_base_loss():
    vectors, targets = torch.randn(5, 16), torch.randn(5, 16)
    nesting = Nesting((4, 16), (2.0, 1.0))
    total, by_size = matryoshka(cosine_regression, (vectors, targets), nesting)
    expected = {
        m: 1 - (truncate(vectors.numpy(), m) * truncate(targets.numpy(), m)).sum(axis=1).mean() for m in (4, 16)
    }
    assert {m: float(loss) for m, loss in by_size.items()} == pytest.approx(expected, rel=1e-5)
    assert float(total) == pytest.approx(2 * expected[4] + expected[16], rel=1e-5)
