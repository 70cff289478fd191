import numpy as np
import pytest
from scipy import stats

from models import truncate
from models.evaluation import few_shot as module
from models.evaluation.few_shot import Interval, few_shot


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(6, 16))
    labels = np.sort(rng.integers(0, 6, size=300))
    vectors = (centres[labels] + 0.8 * rng.normal(size=(300, 16))).astype(np.float32)
    names = np.array(list("abcdef"))[labels]
    order = rng.permutation(300)
    return vectors[order[:200]], names[order[:200]], vectors[order[200:]], names[order[200:]]


def naive_accuracy(train, train_labels, test, test_labels, rows_of, size):
    means = {}
    for label, rows in rows_of.items():
        prefixes = [train[row, :size] / np.linalg.norm(train[row, :size]) for row in rows]
        mean = np.mean(prefixes, axis=0)
        means[label] = mean / np.linalg.norm(mean)
    right = 0
    for vector, label in zip(test, test_labels, strict=True):
        best = max(sorted(means), key=lambda one, vector=vector: float(vector[:size] @ means[one]))
        right += best == label
    return right / len(test)


def test_equals_the_naive_nearest_class_mean(labelled):
    train_labels = labelled[1]
    found = few_shot(*labelled, sizes=(4, 16), shots=(1, 3, 9), episodes=3, seed=7)
    classes = np.unique(train_labels, return_inverse=True)[1]
    draws = [module._draw(classes, 9, np.random.default_rng([7, episode])) for episode in range(3)]
    for size in (4, 16):
        for shots in (1, 3, 9):
            accuracies = []
            for rows, place in draws:
                rows_of = {label: rows[(train_labels[rows] == label) & (place < shots)] for label in "abcdef"}
                assert all(len(own) == shots for own in rows_of.values())
                accuracies.append(naive_accuracy(*labelled, rows_of, size))
            assert found[size][shots].mean == pytest.approx(np.mean(accuracies), abs=1e-12)


def test_draws_are_without_replacement_and_differ(labelled):
    classes = np.unique(labelled[1], return_inverse=True)[1]
    draws = [module._draw(classes, 9, np.random.default_rng([0, episode]))[0] for episode in range(2)]
    assert all(len(set(rows.tolist())) == len(rows) == 54 for rows in draws)
    assert draws[0].tolist() != draws[1].tolist()


def test_the_seed_decides_and_a_small_class_gives_all_it_has(labelled):
    train, labels, test, test_labels = labelled
    keep = (labels != "a") | (np.cumsum(labels == "a") <= 2)
    asked = {"sizes": (16,), "shots": (1, 9), "episodes": 4}
    first = few_shot(train[keep], labels[keep], test, test_labels, **asked)
    again = few_shot(train[keep], labels[keep], test, test_labels, **asked)
    assert first == again
    assert few_shot(train[keep], labels[keep], test, test_labels, **asked, seed=1) != first
    assert first[16][9].mean > first[16][1].mean


def test_equal_scores_go_to_the_label_that_sorts_first():
    train = np.eye(2, dtype=np.float32)[[0, 0]]
    (scores,) = few_shot(
        train, np.array(["b", "a"]), train[:1], np.array(["a"]), sizes=(2,), shots=(1,), episodes=2
    ).values()
    assert scores[1].mean == 1.0
    assert truncate(train, 2).tolist() == train.tolist()


def test_the_interval_is_students():
    values = [0.1, 0.4, 0.35, 0.2]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    interval = Interval.of(values)
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))
    assert interval.to_json() == {"mean": interval.mean, "low": interval.low, "high": interval.high}
    assert Interval.of([0.5, 0.5]) == Interval(0.5, 0.5, 0.5)
