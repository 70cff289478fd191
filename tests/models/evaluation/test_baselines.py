import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Nesting, truncate
from models.classifier.classifier import LinearHeads
from models.evaluation.baselines import int8, low_rank_logits, one_bit, principal_components, probe, random_features


def unit(count, dimension=16, seed=0):
    rng = np.random.default_rng(seed)
    return truncate(rng.standard_normal((count, dimension)) * np.geomspace(4, 0.1, dimension), dimension)


def test_random_features_are_columns_of_the_vectors():
    vectors = unit(20)
    shuffled = vectors @ random_features(16, seed=1)
    assert sorted(map(tuple, shuffled.T)) == sorted(map(tuple, vectors.T))
    assert not np.array_equal(shuffled, vectors)
    assert not np.array_equal(shuffled, vectors @ random_features(16, seed=2))


def test_principal_components_keep_the_most_of_any_rank_and_cosines_at_full_size():
    vectors = unit(300) @ np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)))[0].astype(np.float32)
    rotated = vectors @ principal_components(vectors)
    np.testing.assert_allclose(rotated @ rotated.T, vectors @ vectors.T, atol=1e-5)
    singular = np.linalg.svd(vectors, compute_uv=False)
    for size in (1, 4, 16):
        assert (rotated[:, :size] ** 2).sum() == pytest.approx((singular[:size] ** 2).sum(), rel=1e-4)


def test_low_rank_logits_are_those_of_the_best_approximation_of_the_classifier():
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((5, 16), np.float32), rng.standard_normal(5).astype(np.float32)
    heads, vectors = LinearHeads({16: weight}, {16: bias}), unit(30)
    left, singular, right = np.linalg.svd(weight)
    found = low_rank_logits(heads, vectors, (2, 8, 16))
    cut = sum(singular[i] * np.outer(left[:, i], right[i]) for i in range(2))
    np.testing.assert_allclose(found[2], vectors @ cut.T + bias, atol=1e-5)
    for size in (8, 16):
        np.testing.assert_allclose(found[size], heads.logits(vectors, 16), atol=1e-5, err_msg="rank 5 suffices")


@given(st.integers(1, 40), st.integers(0, 99))
def test_int8_has_255_levels_and_is_near(dimension, seed):
    vectors = unit(5, dimension, seed)
    rounded = int8(vectors)
    step = np.abs(vectors).max(axis=1, keepdims=True) / 127
    assert (np.abs(rounded - vectors) <= step / 2 + 1e-6).all()
    np.testing.assert_allclose(rounded / step, np.round(rounded / step), atol=1e-3)


def test_a_vector_of_zeros_stays_so():
    assert (int8(np.zeros((1, 4), np.float32)) == 0).all()


def test_one_bit_keeps_signs_and_length():
    vectors = unit(10)
    signs = one_bit(vectors)
    assert ((signs > 0) == (vectors >= 0)).all()
    np.testing.assert_allclose(np.linalg.norm(signs, axis=1), 1, atol=1e-6)


def test_a_probe_finds_what_is_linearly_there_in_each_prefix():
    vectors = unit(3000, 16, 1)
    # The label shows in components 0 and 9: half of it in a prefix of 4, all of it in one of 16.
    targets = 2 * (vectors[:, 0] > 0) + (vectors[:, 9] > 0)
    heads = probe(vectors[:2000], targets[:2000], 4, Nesting((4, 16)), seed=0)
    scores = {s: (heads.logits(vectors[2000:], s).argmax(axis=1) == targets[2000:]).mean() for s in (4, 16)}
    assert 0.4 < scores[4] < 0.65
    assert scores[16] > 0.85
    again = probe(vectors[:2000], targets[:2000], 4, Nesting((4, 16)), seed=0)
    np.testing.assert_array_equal(again.weights[16], heads.weights[16])
