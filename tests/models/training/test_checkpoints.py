import json

import pytest
import torch
from torch import nn

from models import TrainingError
from models.training.checkpoints import BestWeights, Checkpoints, Progress

FINGERPRINT = {"seed": 0, "base": "tiny"}


def make_run(seed=0):
    """A linear layer after two steps, and its optimizer."""
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    return model, optimizer


def test_resuming_restores_weights_optimizer_random_state_and_progress(tmp_path):
    model, optimizer = make_run()
    progress = Progress(FINGERPRINT, step=2, best=0.5, best_step=1, waited=1, history=[{"step": 1}])
    checkpoints = Checkpoints(str(tmp_path / "checkpoint"))
    assert not checkpoints.exist
    checkpoints.save(progress, model, optimizer, is_best=True)
    drawn = torch.rand(3)
    other, its_optimizer = make_run(seed=1)
    assert checkpoints.resume(FINGERPRINT, other, its_optimizer) == progress
    torch.testing.assert_close(other.state_dict(), model.state_dict())
    torch.testing.assert_close(its_optimizer.state_dict()["state"], optimizer.state_dict()["state"])
    torch.testing.assert_close(torch.rand(3), drawn)
    assert checkpoints.exist
    assert checkpoints.peek() == progress


def test_the_best_weights_stay_when_later_ones_are_worse(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    model, optimizer = make_run()
    checkpoints.save(Progress(FINGERPRINT, step=2), model, optimizer, is_best=True)
    best = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        model.weight += 1
    checkpoints.save(Progress(FINGERPRINT, step=3), model, optimizer, is_best=False)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "best-2.safetensors", "last-3.safetensors", "optimizer-3.safetensors",
    ]  # fmt: skip
    assert checkpoints.load_best(model).step == 3
    torch.testing.assert_close(model.state_dict(), best)
    checkpoints.remove()
    assert checkpoints.peek() is None


def test_a_kill_while_saving_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    model, optimizer = make_run()
    checkpoints.save(Progress(FINGERPRINT, step=2), model, optimizer, is_best=True)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            checkpoints.save(Progress(FINGERPRINT, step=3), model, optimizer, is_best=True)
    assert checkpoints.resume(FINGERPRINT, model, optimizer).step == 2
    checkpoints.save(Progress(FINGERPRINT, step=4), model, optimizer, is_best=True)
    assert len(list(tmp_path.iterdir())) == 4, "files of the killed save are deleted"


def test_another_run_is_refused_with_the_difference(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    model, optimizer = make_run()
    assert checkpoints.resume(FINGERPRINT, model, optimizer) is None
    with pytest.raises(TrainingError, match="holds no checkpoint: train first"):
        checkpoints.load_best(model)
    checkpoints.save(Progress(FINGERPRINT), model, optimizer, is_best=True)
    with pytest.raises(
        TrainingError, match=r"it had \{'seed': 0\}, this run has \{'seed': 1\}.*--restart to start over"
    ):
        checkpoints.resume({**FINGERPRINT, "seed": 1}, model, optimizer)


def test_checkpoints_without_a_format_are_read_and_later_formats_refused_by_number(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    model, optimizer = make_run()
    checkpoints.save(Progress(FINGERPRINT, step=2), model, optimizer, is_best=True)
    state = json.loads((tmp_path / "state.json").read_text())
    del state["format"]
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert checkpoints.resume(FINGERPRINT, model, optimizer).step == 2
    (tmp_path / "state.json").write_text(json.dumps({**state, "format": 9}))
    with pytest.raises(TrainingError, match="holds a checkpoint of format 9, and this version reads format 1"):
        checkpoints.peek()


def test_best_weights_are_kept_in_memory():
    model, optimizer = make_run()
    kept = BestWeights()
    assert not kept.exist
    assert kept.resume(FINGERPRINT, model, optimizer) is None
    with pytest.raises(TrainingError, match="no weights were saved"):
        kept.load_best(model)
    kept.save(Progress({}, step=1), model, optimizer, is_best=True)
    best = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        model.weight += 1
    kept.save(Progress({}, step=2), model, optimizer, is_best=False)
    assert kept.exist
    assert kept.load_best(model).step == 2
    torch.testing.assert_close(model.state_dict(), best)
