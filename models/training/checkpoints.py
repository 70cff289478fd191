"""Checkpoints of training runs."""

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
_FORMAT = 1
"""Checkpoints without a format are of format 1."""


@dataclass(slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        fingerprint: everything that decides the run's result; only a run with the same one may resume.
        step: steps done.
        best: the best validation score so far, reached at step ``best_step``; -1 before the first evaluation.
        waited: evaluations since the best.
        history: one entry per evaluation.
    """

    fingerprint: dict[str, Any]
    step: int = 0
    best: float = -1.0
    best_step: int = 0
    waited: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoints:
    """The checkpoint folder of a run: the last state, and the best weights.

    Tensors are safetensors files, everything else is JSON. Every save is atomic: a kill at any moment leaves either
    the new checkpoint or the previous one.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

    def save(self, progress: Progress, model: torch.nn.Module, optimizer: torch.optim.Optimizer, is_best: bool) -> None:
        """Write progress, weights and optimizer state; as the best weights too if ``is_best``."""
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
            json.dump({"format": _FORMAT, "files": files, "progress": asdict(progress)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.directory / _STATE)
        for path in self.directory.glob("*.safetensors"):
            if path.name not in files.values():
                path.unlink()

    def resume(
        self, fingerprint: Mapping[str, Any], model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> Progress | None:
        """Load the last checkpoint into model and optimizer, and restore torch's random state.

        Returns:
            Where the run stands, or None if there is no checkpoint.

        Raises:
            TrainingError: the checkpoint belongs to a run with another fingerprint, which the message compares, or has
                another format.
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
                "Give the same options, another --out, or --restart to start over"
            )
        model.load_state_dict(load_file(self.directory / state["files"]["last"]))
        _load_optimizer(optimizer, load_file(self.directory / state["files"]["optimizer"]))
        return progress

    def load_best(self, model: torch.nn.Module) -> Progress:
        """Load the best weights into the model and return where the run stood when it was last saved.

        Raises:
            TrainingError: there is no checkpoint.
        """
        state = self._state()
        if state is None:
            raise TrainingError(f"{self.directory} holds no checkpoint: train first")
        model.load_state_dict(load_file(self.directory / state["files"]["best"]))
        return Progress(**state["progress"])

    def peek(self) -> Progress | None:
        """Return where the run stands, or None if there is no checkpoint."""
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
        if not path.exists():
            return None
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = state.get("format", 1)
        if found != _FORMAT:
            raise TrainingError(
                f"{self.directory} holds a checkpoint of format {found}, and this version reads format {_FORMAT}: "
                "resume with the version that wrote it, or give --restart to start over"
            )
        return state


class BestWeights:
    """Keeps the best weights in memory: for runs that cannot be resumed, in place of :class:`Checkpoints`."""

    def __init__(self) -> None:
        self._best: dict[str, Tensor] | None = None
        self._progress: Progress | None = None

    def save(self, progress: Progress, model: torch.nn.Module, optimizer: torch.optim.Optimizer, is_best: bool) -> None:
        """Copy the weights if they are the best."""
        self._progress = progress
        if is_best:
            self._best = _weights(model)

    def resume(
        self, fingerprint: Mapping[str, Any], model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> Progress | None:
        """Return None: there is nothing to resume from."""
        return None

    def load_best(self, model: torch.nn.Module) -> Progress:
        """See :meth:`Checkpoints.load_best`."""
        if self._best is None or self._progress is None:
            raise TrainingError("no weights were saved: evaluate at least once")
        model.load_state_dict(self._best)
        return self._progress

    @property
    def exist(self) -> bool:
        """Whether weights were saved."""
        return self._best is not None


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    # Cloned because modules may share storage, which safetensors refuses.
    return {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: Mapping[int, Mapping[str, Any]] = optimizer.state_dict()["state"]
    tensors = {
        f"{i}.{key}": torch.as_tensor(value).detach().cpu().clone()
        for i, values in state.items()
        for key, value in values.items()
    }
    return {**tensors, "rng": torch.get_rng_state()}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors.pop("rng"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
