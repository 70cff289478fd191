"""Training of nested classifiers, independent of the kind of items."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
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
from models.nesting import Nesting, Vectors
from models.progress import Report, silent
from models.training.batches import ShuffledBatches
from models.training.checkpoints import BestWeights, Checkpoints
from models.training.loop import LoopOptions, TrainingLoop, TrainingTask
from models.training.losses import weighted_sum

_NOT_FINGERPRINTED = ("device", "max_seconds", "patience")
"""Options that do not change what an epoch learns."""


@dataclass(frozen=True, slots=True)
class TrainedClassifier:
    """The result of training a classifier.

    Attributes:
        classifier: the classifier of the best epoch, by validation accuracy averaged over sizes with their weights.
        history: an entry per epoch: ``epoch``, ``loss`` and validation ``accuracy`` by size.
        best_epoch: number of the best epoch; the first is 1.
        test: test accuracy by size; empty without a test part.
        stopped: ``finished``, ``early stop``, ``time limit`` or ``interrupted``.
        rejected: files that could not be read, and why.
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


class ClassifierTask(TrainingTask):
    """A classifier as the training loop sees it; a subclass holds the items and computes their logits.

    Attributes:
        targets: label numbers of the parts ``train``, ``valid`` and ``test``; -1 for labels without training items.
        batches: rows of the training items, by step.
    """

    metric = "accuracy"

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
        """Take a module, created after ``torch.manual_seed``, and its parameters in groups with peak learning rates."""
        self.options, self.nesting, self.labels, self.targets = options, nesting, labels, targets
        self.sizes, self.weights = nesting.sizes, nesting.weights
        self.training, self.validation = len(targets["train"]), len(targets["valid"])
        self.device = choose_device(options.device)
        self.module = module.to(self.device)
        self.optimizer = torch.optim.AdamW(
            [{"params": list(parameters), "lr": rate} for parameters, rate in groups],
            weight_decay=weight_decay,
            fused=True,
        )
        self.advice = f"lower --learning-rate {self.optimizer.param_groups[0]['lr']}"
        self._label_smoothing = label_smoothing
        self.batches = ShuffledBatches(self.training, options.batch_size, options.seed, first_epoch=1)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return hashes of the base model and the data; called before the first step."""

    @abstractmethod
    def logits(self, rows: npt.NDArray[np.int64], number: int) -> dict[int, Tensor]:
        """Return the logits of training items in step ``number``, shape (len(rows), L) by size, with gradients."""

    @abstractmethod
    def vectors(self, part: str) -> Vectors:
        """Return the unit vectors of a part's items with the current weights, shape (n, D)."""

    @abstractmethod
    def classifier(self) -> Classifier:
        """Return the classifier with the current weights, without a cascade."""

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that decides the result."""
        options = {name: value for name, value in self.options.record().items() if name not in _NOT_FINGERPRINTED}
        return {**self.facts(), "nesting": self.nesting.to_json(), **options}

    def position(self, step: int) -> dict[str, int]:
        """See :class:`TrainingTask`; the first epoch is 1."""
        return {"epoch": step // self.batches.per_epoch}

    def step(self, number: int) -> tuple[Tensor, dict[int, Tensor]]:
        """Compute Σₘ cₘ · CE(logits of size m, label) (MRL, equation 1) on a batch; see :class:`TrainingTask`."""
        self.module.train()
        rows = self.batches[number]
        targets = torch.from_numpy(self.targets["train"][rows]).to(self.device)
        losses = {
            size: functional.cross_entropy(logits, targets, label_smoothing=self._label_smoothing)
            for size, logits in self.logits(rows, number).items()
        }
        loss = weighted_sum(losses, self.nesting)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        return loss, losses

    def evaluate(self) -> dict[int, float]:
        """See :class:`TrainingTask`."""
        return self.accuracy("valid")

    def accuracy(self, part: str) -> dict[int, float]:
        """Return the top-1 accuracy on a part by size, with the current weights."""
        return accuracy(self.classifier(), self.vectors(part), self.targets[part])

    def with_cascade(self) -> Classifier:
        """Return :meth:`classifier` with the cheapest cascade that keeps the largest size's validation accuracy."""
        classifier, vectors, targets = self.classifier(), self.vectors("valid"), self.targets["valid"]
        curve = learn_cascades(*confidences(classifier, vectors, targets))
        full = accuracy(classifier, vectors, targets)[self.nesting.dimension]
        return replace(classifier, cascade=choose(curve, full), curve=tuple(curve))


def train_task(task: ClassifierTask, *, report: Report = silent, out: str | Path | None = None) -> TrainedClassifier:
    """Train until the last epoch or an earlier stop, and learn the best epoch's cascade on the validation part.

    Args:
        task: what to train.
        report: receives progress events.
        out: directory for checkpoints. Every epoch writes one to ``out``/checkpoint, from which the same run resumes,
            and Ctrl-C (KeyboardInterrupt) ends the run with the best epoch so far. If None, nothing is written.

    Raises:
        TrainingError: the loss is no longer finite, or ``out`` holds the checkpoint of another run.
        KeyboardInterrupt: interrupted before the first evaluation, or without ``out``.
    """
    kept = BestWeights() if out is None else Checkpoints(Path(out) / CHECKPOINT)
    loop = TrainingLoop(
        task,
        LoopOptions(
            steps=task.batches.per_epoch * task.options.epochs,
            evaluate_every=task.batches.per_epoch,
            patience=task.options.patience,
            max_seconds=task.options.max_seconds,
            whole_periods=True,
            keep_on_interrupt=out is not None,
        ),
        kept,
        fingerprint={} if out is None else task.fingerprint(),
        report=report,
    )
    stopped = loop.run()
    progress = kept.load_best(task.module)
    history = [{key: _sized(value) for key, value in entry.items()} for entry in progress.history]
    test = task.accuracy("test") if len(task.targets["test"]) else {}
    best_epoch = progress.best_step // task.batches.per_epoch
    return TrainedClassifier(task.with_cascade(), history, best_epoch, test, stopped)


def _sized(value: Any) -> Any:
    return {int(size): number for size, number in value.items()} if isinstance(value, dict) else value


def accuracy(classifier: Classifier, vectors: Vectors, targets: Targets) -> dict[int, float]:
    """Return the top-1 accuracy by size.

    Args:
        classifier: the classifier to measure.
        vectors: unit rows, shape (n, D).
        targets: label numbers, shape (n,); -1 (a label without training items) counts as wrong.
    """
    return {
        size: float((logits.argmax(axis=1) == targets).mean()) for size, logits in classifier.logits(vectors).items()
    }


def confidences(
    classifier: Classifier, vectors: Vectors, targets: Targets
) -> tuple[dict[int, Vectors], dict[int, npt.NDArray[np.bool_]]]:
    """Return each item's confidence and whether its answer is correct, by size: the input of ``learn_cascades``.

    Args:
        classifier, vectors, targets: as in :func:`accuracy`.

    Returns:
        by size, the softmax probabilities of the answers, float32, and whether they are correct, both of shape (n,).
    """
    answers = {size: answer(logits) for size, logits in classifier.logits(vectors).items()}
    return (
        {size: sure for size, (_, sure) in answers.items()},
        {size: predicted == targets for size, (predicted, _) in answers.items()},
    )


def data_hash(labels: Sequence[str], arrays: Iterable[npt.NDArray[Any]]) -> str:
    """Return the sha256 of labels and arrays, including the arrays' types and shapes."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
