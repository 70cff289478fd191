import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import Nesting
from models.classifier.heads import MRLHead, SlimmableHead, TiedHead

NESTING = Nesting((2, 5, 8))


def features(rows=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, 8), np.float32))


@given(sizes=st.sets(st.integers(1, 8), min_size=1), seed=st.integers(0, 9))
def test_mrl_head_is_a_linear_map_of_each_prefix(sizes, seed):
    head = MRLHead(Nesting(tuple(sorted(sizes))), 3)
    x = features(seed=seed)
    logits = head(x)
    assert set(logits) == sizes
    for size, (weight, bias) in head.linear_maps().items():
        assert weight.shape == (3, size)
        expected = [[sum(weight[c, j] * row[j] for j in range(size)) + bias[c] for c in range(3)] for row in x]
        torch.testing.assert_close(logits[size], torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_tied_head_cuts_one_weight_and_shares_the_bias():
    head = TiedHead(NESTING, 3)
    assert sum(parameter.numel() for parameter in head.parameters()) == 3 * 8 + 3
    x = features()
    logits = head(x)
    for size in NESTING.sizes:
        zeroed = x.clone()
        zeroed[:, size:] = 0
        torch.testing.assert_close(logits[size], head.linear(zeroed))
        weight, bias = head.linear_maps()[size]
        torch.testing.assert_close(logits[size], x[:, :size] @ weight.T + bias)


def test_mrl_heads_do_not_share_anything():
    head = MRLHead(NESTING, 3)
    assert sum(parameter.numel() for parameter in head.parameters()) == 3 * (2 + 5 + 8) + 3 * 3


def test_slimmable_maps_fold_the_normalisation_in():
    head = SlimmableHead(NESTING, 3)
    for seed in range(20):
        head(3 * features(64, seed) + 1)
    head.eval()
    x = features(seed=99)
    logits = head(x)
    for size, (weight, bias) in head.linear_maps().items():
        torch.testing.assert_close(logits[size], x[:, :size] @ weight.T + bias, atol=1e-5, rtol=1e-5)
    assert head.norms[0].running_mean.abs().max() > 0.5, "each size keeps its own statistics"


@pytest.mark.parametrize("kind", [MRLHead, TiedHead, SlimmableHead])
def test_prefixes_can_be_brought_to_a_length_of_their_own(kind):
    head = kind(NESTING, 3, length=8.0).eval()
    x = features()
    logits = head(x)
    for size, (weight, bias) in head.linear_maps().items():
        cut = 8 * x[:, :size] / x[:, :size].norm(dim=1, keepdim=True)
        torch.testing.assert_close(logits[size], cut @ weight.T + bias, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head(x * 3)[size], logits[size], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [MRLHead, TiedHead])
def test_a_size_sees_its_prefix_only(kind):
    head = kind(NESTING, 3)
    x = features()
    changed = x.clone()
    changed[:, 5:] += 1
    for size in NESTING.sizes:
        assert torch.equal(head(x)[size], head(changed)[size]) == (size <= 5)
