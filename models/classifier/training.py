"""The training loop of nested classifiers, whatever their items are."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifier.cascade import choose, learn_cascades
from models.classifier.classifier import Classifier, Targets, answer
from models.classifier.options import ClassifierOptions
from models.directory.output import CHECKPOINT
from models.encoders.device import choose_device
from models.errors import TrainingError
from models.nesting import Nesting, Vectors
from models.progress import Evaluated, Report, Step, TrainingStarted, silent
from models.training.checkpoints import BestWeights, Checkpoints, Progress
from models.training.losses import weighted_sum
from models.training.schedule import warmup_then_decay

_UNTOLD = ("device", "max_seconds", "patience")
"""Options that change how long a run goes on and where, and not what an epoch does."""


@dataclass(frozen=True, slots=True)
class TrainedClassifier:
    """What a training run made.

    Attributes:
        classifier: of the epoch with the best validation accuracy, averaged over sizes by their weights.
        history: one entry an epoch: ``epoch``, ``loss`` and validation ``accuracy`` by size.
        best_epoch: the epoch the classifier is of; the first is 1.
        test: test accuracy by size; empty where there was no test part.
        stopped: ``finished``, ``early stop``, ``time limit`` or ``interrupted``.
        rejected: files passed over, and why.
    """

    classifier: Classifier
    history: list[dict[str, Any]]
    best_epoch: int
    test: dict[int, float]
    stopped: str
    rejected: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def validation(self) -> dict[int, float]:
        """The classifier's validation accuracy by size."""
        accuracy: dict[int, float] = self.history[self.best_epoch - 1]["accuracy"]
        return accuracy


class ClassifierRun(ABC):
    """One run: what trains, on what, and where it stands. A subclass has the items and how they become logits.

    Attributes:
        module: all that trains.
        targets: label numbers of the parts ``train``, ``valid`` and ``test``; -1 for a label that is not trained.
        steps: batches an epoch.
        progress: epochs done, as :mod:`models.training.checkpoints` keeps them.
    """

    def __init__(
        self,
        options: ClassifierOptions,
        module: nn.Module,
        groups: Iterable[tuple[Iterable[nn.Parameter], float]],
        nesting: Nesting,
        labels: tuple[str, ...],
        targets: Mapping[str, Targets],
        *,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        """Take a module, made after ``torch.manual_seed``, and its parameters in groups with their peak rates."""
        self.options, self.nesting, self.labels, self.targets = options, nesting, labels, targets
        self.device = choose_device(options.device)
        self.module = module.to(self.device)
        self.optimizer = torch.optim.AdamW(
            [{"params": list(parameters), "lr": rate} for parameters, rate in groups],
            weight_decay=weight_decay,
            fused=True,
        )
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self._label_smoothing = label_smoothing
        self.batch_size = min(options.batch_size, len(targets["train"]))
        self.steps = len(targets["train"]) // self.batch_size
        self.progress = Progress({})

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return hashes of what the run starts from and trains on; called before the first step."""

    @abstractmethod
    def logits(self, rows: npt.NDArray[np.int64]) -> dict[int, Tensor]:
        """Return the logits of training items, shape (len(rows), L) by size, with their gradient."""

    @abstractmethod
    def vectors(self, part: str) -> Vectors:
        """Return the unit vectors of a part's items as the module is now, shape (n, D)."""

    @abstractmethod
    def classifier(self) -> Classifier:
        """Return what the module is now, without a cascade."""

    def fingerprint(self) -> dict[str, Any]:
        """Tell what decides every epoch: a checkpoint goes on only in a run with the same."""
        told = {name: value for name, value in self.options.told().items() if name not in _UNTOLD}
        return {**self.facts(), "nesting": self.nesting.to_json(), **told}

    def batches(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Return the rows of an epoch's batches; they depend on seed and epoch alone, so a resumed run sees the same.

        Args:
            epoch: the first is 1.
        """
        order = np.random.default_rng([self.options.seed, epoch]).permutation(len(self.targets["train"]))
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(self.steps)]

    def step(self, rows: npt.NDArray[np.int64]) -> tuple[float, dict[int, float]]:
        """Train on one batch by Σₘ cₘ · CE(logits of size m, label) (MRL, equation 1), and return it and its parts.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        self.module.train()
        targets = torch.from_numpy(self.targets["train"][rows]).to(self.device)
        losses = {
            size: functional.cross_entropy(logits, targets, label_smoothing=self._label_smoothing)
            for size, logits in self.logits(rows).items()
        }
        loss = weighted_sum(losses, self.nesting)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss became {float(loss.detach())}: lower --learning-rate {self._rates[0]}")
        share = warmup_then_decay(self.progress.step, self.steps * self.options.epochs)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        self.optimizer.step()
        self.progress.step += 1
        return float(loss.detach()), {size: float(value.detach()) for size, value in losses.items()}

    def accuracy(self, part: str) -> dict[int, float]:
        """Return the top-1 accuracy on a part by size, as the module is now."""
        return accuracy(self.classifier(), self.vectors(part), self.targets[part])

    def with_cascade(self) -> Classifier:
        """:meth:`classifier` with thresholds that keep the largest size's validation accuracy at fewest dimensions."""
        classifier, vectors, targets = self.classifier(), self.vectors("valid"), self.targets["valid"]
        curve = learn_cascades(*confidences(classifier, vectors, targets))
        full = accuracy(classifier, vectors, targets)[self.nesting.dimension]
        return replace(classifier, cascade=choose(curve, full), curve=tuple(curve))


def train_run(run: ClassifierRun, *, report: Report = silent, out: Path | None = None) -> TrainedClassifier:
    """Train to the last epoch or an earlier stop, and learn the best epoch's cascade on the validation part.

    Args:
        run: just made.
        report: receives progress events.
        out: a checkpoint is kept at the end of every epoch in ``out``/checkpoint; the same run goes on from it, and
            Ctrl-C (KeyboardInterrupt) ends the run with the best epoch so far. Without it nothing is written.

    Raises:
        TrainingError: the loss is no longer finite, or ``out`` holds the checkpoint of another run.
        KeyboardInterrupt: interrupted before there was anything to keep.
    """
    kept: Checkpoints | BestWeights = BestWeights()
    if out is not None:
        kept, fingerprint = Checkpoints(out / CHECKPOINT), run.fingerprint()
        run.progress = kept.resume(fingerprint, run.module, run.optimizer) or Progress(fingerprint)
    started, late = time.monotonic(), False
    report(
        TrainingStarted(
            steps=run.steps * run.options.epochs,
            done=run.progress.step,
            training=len(run.targets["train"]),
            validation=len(run.targets["valid"]),
            sizes=run.nesting.sizes,
        )
    )
    try:
        while (stopped := _ending(run, late)) is None:
            _train_epoch(run, kept, report)
            late = run.options.max_seconds is not None and time.monotonic() - started > run.options.max_seconds
    except KeyboardInterrupt:
        if not kept.exist:
            raise
        stopped = "interrupted"
    run.progress = kept.load_best(run.module)
    history = [{key: _sized(value) for key, value in entry.items()} for entry in run.progress.history]
    test = run.accuracy("test") if len(run.targets["test"]) else {}
    return TrainedClassifier(run.with_cascade(), history, run.progress.best_step // run.steps, test, stopped)


def _ending(run: ClassifierRun, late: bool) -> str | None:
    """Tell why no further epoch follows; None where one does."""
    if run.progress.waited >= run.options.patience:
        return "early stop"
    if late:
        return "time limit"
    return "finished" if len(run.progress.history) >= run.options.epochs else None


def _train_epoch(run: ClassifierRun, kept: Checkpoints | BestWeights, report: Report) -> None:
    progress, sizes = run.progress, run.nesting.sizes
    epoch, losses = len(progress.history) + 1, []
    for rows in run.batches(epoch):
        total, by_size = run.step(rows)
        losses.append(by_size)
        report(Step(step=progress.step, total=run.steps * run.options.epochs, loss=total, losses=by_size))
    scores = run.accuracy("valid")
    loss = {size: float(np.mean([entry[size] for entry in losses])) for size in sizes}
    mean = float(np.average([scores[size] for size in sizes], weights=run.nesting.weights))
    if is_best := mean > progress.best:
        progress.best, progress.best_step, progress.waited = mean, progress.step, 0
    else:
        progress.waited += 1
    # Text keys, as they come back from JSON.
    told = {name: {str(size): one for size, one in by.items()} for name, by in (("loss", loss), ("accuracy", scores))}
    progress.history.append({"epoch": epoch, **told})
    kept.save(progress, run.module, run.optimizer, is_best)
    report(Evaluated(step=progress.step, metric="accuracy", scores=scores, mean=mean, losses=loss, best=is_best))


def _sized(value: Any) -> Any:
    return {int(size): one for size, one in value.items()} if isinstance(value, dict) else value


def accuracy(classifier: Classifier, vectors: Vectors, targets: Targets) -> dict[int, float]:
    """Top-1 accuracy by size; a target of -1, a label that was not trained, is never right."""
    return {
        size: float((logits.argmax(axis=1) == targets).mean()) for size, logits in classifier.logits(vectors).items()
    }


def confidences(
    classifier: Classifier, vectors: Vectors, targets: Targets
) -> tuple[dict[int, Vectors], dict[int, npt.NDArray[np.bool_]]]:
    """Confidence, and whether the answer is right, of each item by size: what a cascade is learned from."""
    answers = {size: answer(logits) for size, logits in classifier.logits(vectors).items()}
    return (
        {size: sure for size, (_, sure) in answers.items()},
        {size: predicted == targets for size, (predicted, _) in answers.items()},
    )


def data_hash(labels: Sequence[str], arrays: Iterable[npt.NDArray[Any]]) -> str:
    """sha256 over labels and arrays, their types and shapes."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
