from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Nesting
from models.training.gradient_cache import cached_backward
from models.training.losses import info_nce, matryoshka
from models.training.processes import Processes

NESTING = Nesting((4, 16))


def gradients(module, backward):
    module.zero_grad()
    loss = backward()
    return float(loss), [parameter.grad.clone() for parameter in module.parameters()]


@settings(max_examples=15)
@given(rows=st.integers(2, 9), extra=st.integers(0, 4), chunk=st.integers(1, 12), seed=st.integers(0, 99))
def test_gradients_equal_those_of_the_plain_batch(rows, extra, chunk, seed):
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 16))
    sides = torch.randn(rows, 6), torch.randn(rows + extra, 6)
    loss = lambda *vectors: matryoshka(partial(info_nce, temperature=0.2), vectors, NESTING)[0]  # noqa: E731

    def plain():
        total = loss(*(module(side) for side in sides))
        total.backward()
        return total.detach()

    def cached():
        return cached_backward(
            lambda side, part: module(sides[side][part]), [rows, rows + extra], 16, loss, chunk, Processes("cpu")
        )

    expected, found = gradients(module, plain), gradients(module, cached)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for left, right in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def test_both_passes_of_a_chunk_drop_the_same_numbers():
    """With a linear loss the gradient is the sum of what the first pass saw: a second mask would give another."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 16, bias=False), torch.nn.Dropout(0.5)).train()
    side, seen = torch.randn(12, 5), []

    def encode(_, part):
        seen.append(module(side[part]))
        return seen[-1]

    cached_backward(encode, [12], 16, lambda vectors: (vectors * vectors).sum(), 5, Processes("cpu"))
    for first, second in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(first, second)
