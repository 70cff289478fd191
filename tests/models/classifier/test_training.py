"""Training of text and image classifiers: an interrupted run resumes to the same result as one without interruption."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import Nesting, TrainingError
from models.classifier.classifier import Classifier
from models.classifier.image_options import ImageTrainingOptions
from models.classifier.images import save_image_classifier, train_images
from models.classifier.text_data import ClassificationData
from models.classifier.text_options import ClassificationOptions
from models.classifier.texts import save_classifier, train_classifier
from models.classifier.training import data_hash
from models.data.labelled_images import list_labelled_images, split_labelled_images
from models.data.labelled_texts import split_labelled
from models.directory.output import check_output
from models.progress import Evaluated, Step, silent
from tests.conftest import make_encoder
from tests.models.classifier.labelled import make_items
from tests.models.image_models import make_vit, write_digits

COMMON = {"nesting": Nesting((4, 8), (1.0, 2.0)), "epochs": 4, "batch_size": 32, "patience": 4, "device": "cpu"}


class Texts:
    """Trains and writes text classifiers, as the command does."""

    hash_name = "texts"

    def __init__(self, root: Path, kind="mrl", count=400):
        self.data = ClassificationData.prepare(split_labelled(make_items(count), 0.1, 0), make_encoder())
        self.options = ClassificationOptions(kind=kind, **COMMON)

    def other(self, root: Path):
        return Texts(root, count=390)

    def train(self, out=None, report=silent, **changes):
        return train_classifier(self.data, replace(self.options, **changes), out=out, report=report)

    def save(self, result, out):
        save_classifier(result, out, self.options, "tiny")


class Images:
    """The same for images."""

    hash_name = "images"

    def __init__(self, root: Path, base=None, count=80):
        items = list_labelled_images(write_digits(root / str(count), count))
        self.parts, self.base = split_labelled_images(items, 0.2, seed=0), base
        self.options = ImageTrainingOptions(**COMMON)

    def other(self, root: Path):
        return Images(root, count=75)

    def train(self, out=None, report=silent, **changes):
        return train_images(self.parts, replace(self.options, **changes), self.base, out=out, report=report)

    def save(self, result, out):
        save_image_classifier(result, out, self.options, None)


MAKERS = {
    "texts": Texts,
    "texts, slimmable": lambda root: Texts(root, "slimmable"),
    "images, new": Images,
    "images, base": lambda root: Images(root, str(make_vit(root / "vit"))),
}


@pytest.fixture(params=MAKERS)
def trainer(request, tmp_path):
    return MAKERS[request.param](tmp_path / "data")


def raise_at(kind, number=1, error=KeyboardInterrupt):
    """A report callback that raises at the given event of a type."""
    seen = []

    def report(event):
        if isinstance(event, kind):
            seen.append(event)
            if len(seen) == number:
                raise error

    return report


def steps_of(events):
    return [event.step for event in events if isinstance(event, Step)]


def assert_same(found, expected):
    assert found.classifier.encoder.content_hash == expected.classifier.encoder.content_hash
    for size in expected.classifier.heads.sizes:
        for of in ("weights", "biases"):
            arrays = (getattr(result.classifier.heads, of)[size] for result in (found, expected))
            np.testing.assert_array_equal(*arrays)
    assert found.classifier.curve == expected.classifier.curve
    assert found.classifier.cascade == expected.classifier.cascade
    rest = [(result.history, result.best_epoch, result.test, result.stopped) for result in (found, expected)]
    assert rest[0] == rest[1]


def test_an_interrupted_run_keeps_its_best_epoch_and_resumes_to_the_same_result(trainer, tmp_path):
    whole = trainer.train()
    assert whole.stopped == "finished"
    out = tmp_path / "model"
    events = []
    trainer.train(tmp_path / "counted", events.append)
    total = len(steps_of(events))
    an_epoch = total // 4

    stopped = trainer.train(out, raise_at(Step, 2 * an_epoch + 2))
    assert (stopped.stopped, len(stopped.history)) == ("interrupted", 2)
    assert stopped.history == whole.history[:2]
    trainer.save(stopped, out)
    assert Classifier.load(out).labels == whole.classifier.labels, "the best epoch so far can be used"
    check_output(out, restart=False)

    events.clear()
    resumed = trainer.train(out, events.append)
    assert events[0].done == 2 * an_epoch
    assert steps_of(events) == list(range(2 * an_epoch + 1, total + 1))
    assert_same(resumed, whole)
    trainer.save(resumed, out)
    assert not (out / "checkpoint").exists()
    assert Classifier.load(out).encoder.content_hash == whole.classifier.encoder.content_hash
    with pytest.raises(TrainingError, match="already holds a model"):
        check_output(out, restart=False)


@pytest.mark.parametrize("trainer", ["texts", "images, new"], indirect=True)
class TestCheckpoints:
    def test_a_run_killed_in_any_epoch_resumes(self, trainer, tmp_path):
        whole, killed = trainer.train(), RuntimeError("killed")
        for _ in range(3):
            with pytest.raises(RuntimeError, match="killed"):
                trainer.train(tmp_path / "model", raise_at(Evaluated, error=killed))
        events = []
        assert_same(trainer.train(tmp_path / "model", events.append), whole)
        steps = steps_of(events)
        assert len(steps) == steps[-1] // 4, "three epochs were done, one is left"
        events.clear()
        assert_same(trainer.train(tmp_path / "model", events.append), whole)
        assert not steps_of(events), "killed before the model was written, it need not train again"

    def test_an_early_stop_counts_the_epochs_before_an_interrupt(self, trainer, tmp_path):
        slow = {"epochs": 9, "learning_rate": 1e-12, "patience": 2}
        whole = trainer.train(**slow)
        assert whole.stopped == "early stop"
        assert len(whole.history) == whole.best_epoch + 2
        with pytest.raises(RuntimeError):
            trainer.train(tmp_path / "model", raise_at(Evaluated, 2, RuntimeError), **slow)
        assert_same(trainer.train(tmp_path / "model", **slow), whole)

    def test_an_interrupt_before_the_first_evaluation_is_raised(self, trainer, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            trainer.train(tmp_path / "model", raise_at(Step, 2))
        assert not (tmp_path / "model").exists()
        # Without a directory for checkpoints, nothing is kept.
        with pytest.raises(KeyboardInterrupt):
            trainer.train(None, raise_at(Evaluated, 3))

    def test_a_checkpoint_of_another_run_is_refused_with_the_difference(self, trainer, tmp_path):
        out = tmp_path / "model"
        trainer.train(out, raise_at(Evaluated, 2))
        message = r"another run: it had \{'batch_size': 32, 'seed': 0\}, this run has \{'batch_size': 16, 'seed': 1\}"
        with pytest.raises(TrainingError, match=message + r".*--restart to start over"):
            trainer.train(out, batch_size=16, seed=1)
        with pytest.raises(TrainingError, match=r"it had \{'nesting': .*\[1\.0, 2\.0\]"):
            trainer.train(out, nesting=Nesting((4, 8)))
        with pytest.raises(TrainingError, match=rf"it had \{{'{trainer.hash_name}': '\w{{64}}'\}}"):
            trainer.other(tmp_path).train(out)
        check_output(out, restart=True)
        assert len(trainer.train(out, batch_size=16, epochs=1).history) == 1

    def test_patience_time_limit_and_device_may_change_when_a_run_resumes(self, trainer, tmp_path):
        trainer.train(tmp_path / "model", raise_at(Evaluated, 1))
        result = trainer.train(tmp_path / "model", max_seconds=1e-6, patience=5, device="auto")
        assert (result.stopped, len(result.history)) == ("time limit", 2)


def test_another_base_is_another_run(tmp_path):
    texts, images = Texts(tmp_path), Images(tmp_path)
    texts.train(tmp_path / "texts", raise_at(Evaluated, 1))
    texts.data = replace(texts.data, base=make_encoder(seed=1))
    images.train(tmp_path / "images", raise_at(Evaluated, 1))
    images.base = str(make_vit(tmp_path / "vit"))
    for trainer, was in ((texts, r"'\w{64}'"), (images, "None")):
        with pytest.raises(TrainingError, match=rf"it had \{{'base_hash': {was}\}}, this run has"):
            trainer.train(tmp_path / trainer.hash_name)


def test_the_hash_of_data_tells_labels_values_types_and_shapes_apart():
    arrays = [np.arange(6), np.zeros((0, 2), np.float32)]
    same = [np.arange(6), np.zeros((0, 2), np.float32)]
    others = [
        (["a"], arrays),
        (["a", "c"], [*arrays[:1]]),
        (["a", "b"], [np.arange(6) * 2, arrays[1]]),
        (["a", "b"], [np.arange(6, dtype=np.int32), arrays[1]]),
        (["a", "b"], [np.arange(6).reshape(2, 3), arrays[1]]),
    ]
    found = {data_hash(labels, other) for labels, other in others}
    assert len(found) == len(others)
    assert data_hash(["a", "b"], arrays) == data_hash(["a", "b"], same)
    assert data_hash(["a", "b"], arrays) not in found
