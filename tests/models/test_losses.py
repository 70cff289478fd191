import numpy as np
import pytest
import torch

from models import Nesting, truncate
from models.losses import info_nce, matryoshka_info_nce, same_text


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
    loss, by_size = matryoshka_info_nce(
        torch.tensor(queries), torch.tensor(documents), nesting, 0.1, torch.tensor(exclude)
    )
    assert float(loss) == pytest.approx(naive(queries, documents, nesting, 0.1, exclude), rel=1e-5)
    assert float(loss) == pytest.approx(3 * by_size[4] + by_size[8] + 0.5 * by_size[16], rel=1e-5)


def test_every_prefix_is_trained():
    queries, documents = torch.randn(4, 16, requires_grad=True), torch.randn(4, 16)
    loss, _ = matryoshka_info_nce(queries, documents, Nesting((4, 16), (1.0, 1e-9)), 0.1)
    loss.backward()
    assert queries.grad[:, :4].abs().sum() > 1e-3
    assert queries.grad[:, 4:].abs().sum() < 1e-6, "the first size alone does not reach beyond its prefix"


def test_info_nce_of_perfect_pairs_goes_to_zero():
    eye = torch.eye(5)
    assert float(info_nce(eye, eye, temperature=0.01)) < 1e-6


def test_same_text_marks_repeats_but_never_a_pair_itself():
    marks = same_text(["a", "b", "a"], ["x", "y", "y"])
    assert marks.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
