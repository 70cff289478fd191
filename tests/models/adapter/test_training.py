import numpy as np
import pytest
from scipy.stats import ortho_group

from models import InvalidOptionError, Nesting, TrainingError, truncate
from models.adapter.adapter import Adapter
from models.adapter.options import AdapterOptions
from models.adapter.training import _ordered, _principal, learn_adapter
from models.evaluation.prefix_recall import prefix_recall
from models.progress import Evaluated, Step
from tests.models.adapter.vectors import DIMENSION, make_vectors


def options(**changes):
    return AdapterOptions(**{"sizes": (4, 8), "steps": 60, "batch_size": 64, "evaluate_every": 20, **changes})


@pytest.fixture(scope="module")
def learned():
    events = []
    return learn_adapter(make_vectors(1500, 0), options(), report=events.append), events


def test_prefixes_are_worth_more_than_pcas_and_pcas_more_than_truncation(learned):
    result, _ = learned
    for size in (4, 8):
        assert result.recall["truncation"][size] + 0.05 < result.recall["pca"][size]
    mean = {name: np.mean(list(by_size.values())) for name, by_size in result.recall.items()}
    assert mean["pca"] < mean["adapter"]
    new = truncate(make_vectors(1000, 5), DIMENSION)
    mapped = result.adapter.apply(new)
    before, after = (prefix_recall(rows[:200], rows[200:], (4, 8)) for rows in (new, mapped))
    assert all(before[size] + 0.05 < after[size] for size in (4, 8))


def test_whole_scores_are_unchanged(learned):
    vectors = truncate(make_vectors(200, 6), DIMENSION)
    mapped = learned[0].adapter.apply(vectors)
    np.testing.assert_allclose(mapped @ mapped.T, vectors @ vectors.T, atol=1e-6)


def test_what_happens_is_told_and_kept(learned, tmp_path):
    result, events = learned
    assert sum(isinstance(event, Step) for event in events) == result.steps == 60
    assert [event.step for event in events if isinstance(event, Evaluated)] == [0, 20, 40, 60]
    assert result.stopped == "finished"
    assert (result.documents, result.queries) == (900, 300)
    result.save(tmp_path)
    assert Adapter.load(tmp_path).nesting == Nesting((4, 8, DIMENSION))


def test_the_same_seed_gives_the_same_map():
    first, second, other = (
        learn_adapter(make_vectors(600, 0), options(steps=10, evaluate_every=5, seed=seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.adapter.matrix, second.adapter.matrix)
    assert not np.allclose(first.adapter.matrix, other.adapter.matrix)


def test_queries_of_their_own_decide():
    """Queries that lie in a few directions: what the prefix must keep is there, whatever documents do besides."""
    documents = make_vectors(1000, 0)
    rotation = ortho_group.rvs(DIMENSION, random_state=7)
    queries = np.random.default_rng(3).normal(size=(600, 4)) @ rotation[-4:]  # where documents vary least
    with_queries = learn_adapter(documents, options(), queries.astype(np.float32))
    without = learn_adapter(documents, options())
    asked = truncate(np.random.default_rng(4).normal(size=(100, 4)) @ rotation[-4:], DIMENSION)
    rows = truncate(make_vectors(1000, 8), DIMENSION)
    recall = [
        prefix_recall(one.adapter.apply(asked), one.adapter.apply(rows), (4,))[4] for one in (with_queries, without)
    ]
    assert recall[0] > 10 * recall[1]
    assert recall[0] > 0.1


def test_it_stops_in_time_and_keeps_what_it_has():
    result = learn_adapter(make_vectors(600, 0), options(steps=10**6, max_seconds=0.3))
    assert result.stopped == "time limit"
    assert 0 < result.steps < 10**6


def test_an_interrupt_keeps_the_best_so_far():
    def interrupt(event):
        if isinstance(event, Step) and event.step == 3:
            raise KeyboardInterrupt

    result = learn_adapter(make_vectors(600, 0), options(evaluate_every=2), report=interrupt)
    assert (result.stopped, result.steps) == ("interrupted", 3)
    assert result.best_step in (0, 2)


def test_ordering_keeps_the_span_of_every_size_and_orders_within():
    rng = np.random.default_rng(0)
    matrix = ortho_group.rvs(DIMENSION, random_state=1) + 1e-6 * rng.normal(size=(DIMENSION, DIMENSION))
    data = rng.normal(size=(500, DIMENSION)) * np.linspace(2, 0.1, DIMENSION)
    moment = data.T @ data
    ordered = _ordered(matrix, moment, Nesting((4, 8, DIMENSION)))
    np.testing.assert_allclose(ordered @ ordered.T, np.eye(DIMENSION), atol=1e-12)
    for size in (4, 8):
        np.testing.assert_allclose(
            ordered[:size].T @ ordered[:size], matrix[:size].T @ matrix[:size], atol=1e-4
        )  # the projector
    energy = np.diag(ordered @ moment @ ordered.T)
    for block in (energy[:4], energy[4:8], energy[8:]):
        assert (np.diff(block) <= 1e-9).all()
    principal = _principal(moment)
    assert (np.diff(np.diag(principal @ moment @ principal.T)) <= 1e-9).all()


def test_too_little_data_is_refused():
    repeated = np.repeat(make_vectors(100, 0), 10, axis=0)
    with pytest.raises(TrainingError, match=r"100 distinct documents are too few .* 24 dimensions: give at least 400"):
        learn_adapter(repeated, options())
    with pytest.raises(TrainingError, match="50 distinct queries are too few"):
        learn_adapter(make_vectors(600, 0), options(), make_vectors(50, 1))
    with pytest.raises(TrainingError, match="give at least 500"):
        learn_adapter(np.random.default_rng(0).normal(size=(450, 500)).astype(np.float32), options())


def test_vectors_that_cannot_be_used_are_refused():
    broken = make_vectors(600, 0)
    broken[5, 3] = np.nan
    with pytest.raises(InvalidOptionError, match="documents with NaN or infinite components"):
        learn_adapter(broken, options())
    with pytest.raises(InvalidOptionError, match="queries of 8 dimensions: the documents have 24"):
        learn_adapter(make_vectors(600, 0), options(), make_vectors(200, 0)[:, :8])
