from dataclasses import replace

import numpy as np
import pytest
import torch

from models import InvalidOptionError, Nesting, TrainingError
from models.classifier.texts import classifier_vectors, resized, train_classifier, without_tokens
from models.classifier.training import accuracy
from models.directory.output import check_output
from models.progress import Evaluated, Step, TrainingStarted
from tests.conftest import WORDS, make_encoder
from tests.models.classifier.labelled import LABELS, NESTING, options


def test_every_size_learns_and_longer_ones_more(trained, data):
    scores = accuracy(trained.classifier, classifier_vectors(trained.classifier, data.test), data.test_targets)
    assert scores[2] > 2.5 / LABELS
    assert scores[8] > 0.7
    assert scores[32] > 0.8
    assert scores[2] < scores[8]


def test_the_best_epoch_is_kept(trained, data):
    means = [np.mean(list(entry["accuracy"].values())) for entry in trained.history]
    assert trained.best_epoch == 1 + int(np.argmax(means))
    best = trained.history[trained.best_epoch - 1]["accuracy"]
    classifier = trained.classifier
    assert accuracy(classifier, classifier_vectors(classifier, data.valid), data.valid_targets) == best


def test_events_tell_steps_and_evaluations(events, trained):
    assert isinstance(events[0], TrainingStarted)
    assert events[0].training > events[0].validation > 100
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == list(range(1, events[0].steps + 1))
    losses = [event.losses for event in events if isinstance(event, Evaluated)]
    assert losses[-1][32] < losses[0][32]


@pytest.mark.parametrize("kind", ["mrl", "mrl-e", "ff", "slimmable"])
def test_the_module_trained_and_the_arrays_kept_give_the_same_logits(data, kind):
    from models.classifier.texts import _TextTask

    task = _TextTask(data, options(kind=kind, nesting=Nesting((32,)) if kind == "ff" else NESTING))
    for number in range(task.batches.per_epoch):
        task.optimizer.zero_grad()
        task.step(number)
        task.optimizer.step()
    classifier = task.classifier()
    with torch.no_grad():
        expected = task.module(task.counts[:50])
    found = classifier.logits(classifier_vectors(classifier, data.train[:50]))
    assert set(found) == set(expected)
    for size, logits in found.items():
        np.testing.assert_allclose(logits, expected[size].numpy(), atol=2e-4)


@pytest.mark.parametrize("kind", ["mrl", "mrl-e", "slimmable"])
def test_the_seed_decides_everything(data, kind):
    tables = [
        train_classifier(data, options(kind=kind, epochs=1, seed=seed)).classifier.encoder.table for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


def test_tokens_never_seen_stay_as_they_were(data):
    classifier = train_classifier(data, options(epochs=1)).classifier
    unseen = np.setdiff1d(np.arange(len(WORDS)), data.train.indices)
    assert len(unseen)
    base = make_encoder().table
    np.testing.assert_allclose(classifier.encoder.table[unseen] * base.std(), base[unseen], rtol=1e-5)
    seen = data.train.indices[0]
    assert not np.allclose(classifier.encoder.table[seen] * base.std(), base[seen], rtol=1e-2)


def test_early_stop_and_time_limit(data):
    assert train_classifier(data, options(epochs=30, learning_rate=1e-8, patience=1)).stopped == "early stop"
    result = train_classifier(data, options(epochs=30, max_seconds=1e-6))
    assert (result.stopped, len(result.history)) == ("time limit", 1)


def test_a_loss_that_is_no_number_is_an_error(data):
    base = make_encoder()
    base.table[:] *= np.nan
    with pytest.raises(TrainingError, match=r"the loss became nan at step \d+: lower --learning-rate"):
        train_classifier(replace(data, base=base), options(epochs=1))


def test_a_base_is_cut_or_widened():
    encoder = make_encoder()
    np.testing.assert_array_equal(resized(encoder, 8, 0).table, encoder.table[:, :8])
    wide = resized(encoder, 64, 0)
    assert wide.dimension == 64
    np.testing.assert_array_equal(wide.table[:, :32], encoder.table)


def test_dropped_tokens(data):
    rng = np.random.default_rng(0)
    kept = without_tokens(data.train, 0.25, rng)
    assert kept.nnz == pytest.approx(0.75 * data.train.nnz, rel=0.05)
    dense, whole = kept.toarray(), data.train.toarray()
    assert ((dense == whole) | (dense == 0)).all()
    assert without_tokens(data.train, 0.0, rng) is data.train


def test_fixed_features_have_one_size(data):
    with pytest.raises(InvalidOptionError, match="kind 'ff' has a single size"):
        train_classifier(data, options(kind="ff"))


def test_where_a_model_may_be_written(directory, tmp_path):
    check_output(tmp_path / "new", restart=False)
    with pytest.raises(TrainingError, match="already holds a model"):
        check_output(directory, restart=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="is a file"):
        check_output(tmp_path / "file", restart=True)
    with pytest.raises(TrainingError, match="is not empty and holds no model that was trained here"):
        check_output(tmp_path, restart=True)


def test_a_run_may_have_as_few_steps_as_a_warm_up_has_tenths(data):
    result = train_classifier(data, options(epochs=10, batch_size=len(data.train_targets)))
    assert [entry["epoch"] for entry in result.history][-1] == 10
