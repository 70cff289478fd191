"""Checkpoints of a training run: tensors as safetensors, the rest as JSON, replaced atomically."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.errors import TrainingError

_STATE = "state.json"


@dataclass(slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        fingerprint: what the run was started with; a checkpoint goes on only in a run with the same.
        step: batches done.
        best: the best validation score so far, and ``best_step`` when it was reached; -1 before any.
        waited: evaluations since the best.
        history: one entry an evaluation.
    """

    fingerprint: dict[str, Any]
    step: int = 0
    best: float = -1.0
    best_step: int = 0
    waited: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoints:
    """The checkpoint folder of one run; holds the last state and the best weights, nothing older."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, progress: Progress, model: torch.nn.Module, optimizer: torch.optim.Optimizer, is_best: bool) -> None:
        """Write weights, optimizer and progress so that a kill at any moment leaves this or the earlier checkpoint."""
        self.directory.mkdir(parents=True, exist_ok=True)
        before = self._state() or {"files": {}}
        files = dict(before["files"])
        weights = _weights(model)
        tensors = {"last": weights, "optimizer": _optimizer_tensors(optimizer)}
        if is_best:
            tensors["best"] = weights
        for role, values in tensors.items():
            files[role] = f"{role}-{progress.step}.safetensors"
            save_file(values, self.directory / files[role])
            with (self.directory / files[role]).open("rb") as file:
                os.fsync(file.fileno())
        partial = self.directory / (_STATE + ".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"files": files, "progress": asdict(progress)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.directory / _STATE)
        for path in self.directory.glob("*.safetensors"):
            if path.name not in files.values():
                path.unlink()

    def resume(
        self, fingerprint: dict[str, Any], model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> Progress | None:
        """Load the last checkpoint into model and optimizer; None where there is none.

        Raises:
            TrainingError: the checkpoint is of a run with another fingerprint; the message names what differs.
        """
        state = self._state()
        if state is None:
            return None
        progress = Progress(**state["progress"])
        changed = [key for key in fingerprint if progress.fingerprint.get(key) != fingerprint[key]]
        if changed:
            was = {key: progress.fingerprint.get(key) for key in changed}
            now = {key: fingerprint[key] for key in changed}
            raise TrainingError(
                f"{self.directory} holds the checkpoint of another run: it had {was}, this run has {now}. "
                "Give the same options, another --out, or --restart to begin anew"
            )
        model.load_state_dict(load_file(self.directory / state["files"]["last"]))
        _load_optimizer(optimizer, load_file(self.directory / state["files"]["optimizer"]))
        return progress

    def load_best(self, model: torch.nn.Module) -> Progress:
        """Put the best weights so far into the model and return where the run stood when they were last saved."""
        state = self._state()
        if state is None:
            raise TrainingError(f"{self.directory} holds no checkpoint")
        model.load_state_dict(load_file(self.directory / state["files"]["best"]))
        return Progress(**state["progress"])

    def peek(self) -> Progress | None:
        """Tell where the run stands that the last checkpoint is of; None where there is none."""
        state = self._state()
        return None if state is None else Progress(**state["progress"])

    @property
    def exist(self) -> bool:
        """Whether there is a checkpoint."""
        return (self.directory / _STATE).exists()

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _state(self) -> dict[str, Any] | None:
        path = self.directory / _STATE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


class BestWeights:
    """Stands in for :class:`Checkpoints` where a run is not to be taken up again: keeps the best weights in memory."""

    exist = False

    def save(self, progress: Progress, model: torch.nn.Module, optimizer: torch.optim.Optimizer, is_best: bool) -> None:
        """Copy the weights, where they are the best."""
        self._progress = progress
        if is_best:
            self._best = _weights(model)

    def load_best(self, model: torch.nn.Module) -> Progress:
        """See :meth:`Checkpoints.load_best`."""
        model.load_state_dict(self._best)
        return self._progress


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    # Cloned: modules may share storage, which safetensors refuses.
    return {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: Mapping[int, Mapping[str, Any]] = optimizer.state_dict()["state"]
    tensors = {
        f"{i}.{key}": torch.as_tensor(value).detach().cpu().clone()
        for i, one in state.items()
        for key, value in one.items()
    }
    return {**tensors, "rng": torch.get_rng_state()}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors.pop("rng"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
