import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from models.evaluation import probe
from models.evaluation.probe import linear_probe


def separable(rows, dims, seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(dims, 3))
    vectors = rng.normal(size=(rows, dims)).astype(np.float32)
    return vectors, (vectors @ weights).argmax(axis=1)


def test_a_linear_rule_is_learned_and_noise_is_not():
    vectors, labels = separable(600, 6, 0)
    assert linear_probe(vectors[:500], labels[:500], vectors[500:], labels[500:]) > 0.9
    noise = np.random.default_rng(1).normal(size=(600, 6)).astype(np.float32)
    assert linear_probe(noise[:500], labels[:500], noise[500:], labels[500:]) < 0.6


def test_scale_and_offset_of_a_dimension_do_not_matter():
    vectors, labels = separable(300, 4, 2)
    moved = vectors * np.array([1000, 1, 0.001, 1], np.float32) + np.float32(3)
    plain, other = (linear_probe(v[:250], labels[:250], v[250:], labels[250:]) for v in (vectors, moved))
    assert plain == pytest.approx(other, abs=0.021)


def test_the_penalty_is_beside_the_mean_loss():
    vectors, labels = separable(80, 2, 3)
    one_hot = np.eye(3)[labels]

    def loss(flat):
        weights, offsets = flat[:6].reshape(2, 3), flat[6:]
        likelihood = (log_softmax(vectors @ weights + offsets, axis=1) * one_hot).sum(axis=1)
        return -likelihood.mean() + 0.03 / 2 * (weights**2).sum()

    expected = minimize(loss, np.zeros(9)).x[:6].reshape(2, 3)
    np.testing.assert_allclose(probe._fit(vectors, labels, 0.03).coef_.T, expected, atol=0.02)


def test_the_penalty_is_chosen_by_held_out_rows_of_the_training_part(monkeypatch):
    rng = np.random.default_rng(4)
    few = rng.normal(size=(60, 40)).astype(np.float32)  # more dimensions than a rule can be learned from
    labels = (few[:, 0] + 0.7 * rng.normal(size=60) > 0).astype(int)
    fitted = []
    fit = probe._fit
    monkeypatch.setattr(probe, "_fit", lambda *given: fitted.append((len(given[0]), given[2])) or fit(*given))
    linear_probe(few[:50], labels[:50], few[50:], labels[50:])
    assert [rows for rows, _ in fitted] == [40, 40, 40, 50]
    assert [penalty for _, penalty in fitted[:3]] == list(probe.PENALTIES)
    assert fitted[3][1] in probe.PENALTIES


def test_rows_too_few_to_hold_some_out():
    vectors = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    assert linear_probe(vectors, np.array([0, 1]), vectors, np.array([0, 1])) == 1.0
