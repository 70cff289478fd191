"""Training of nested classifiers on labelled texts: MRL, MRL-E and the baselines of one code path."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from models.cascade import choose, learn_cascades
from models.classification_data import ClassificationData
from models.classification_options import ClassificationOptions
from models.classifier import Classifier, LinearHeads, answer
from models.encoders import Encoder
from models.errors import InvalidOptionError, TrainingError
from models.heads import MRLHead, SlimmableHead, TiedHead
from models.losses import weighted_sum
from models.model_card import CardFacts, write_card
from models.model_files import write_record
from models.model_output import publish
from models.nesting import Nesting, Vectors, truncate
from models.schedule import warmup_then_decay
from models.static_encoder import StaticEncoder
from models.trainable import as_trainable, widened
from models.transformer_encoder import choose_device

Head = MRLHead | TiedHead | SlimmableHead

_HEADS: Mapping[str, type[Head]] = {
    "mrl": MRLHead,
    "mrl-e": TiedHead,
    "ff": MRLHead,
    "slimmable": SlimmableHead,
}

FEATURE_LENGTH = 8.0
"""Length of the prefixes a head sees: long enough that weights of ordinary size give confident answers."""
_HEAD_RATE = 0.1
"""Learning rate of the heads, as a share of the table's: where both were alike, large sizes learned by heart."""
_USAGE = """from models.classifier import Classifier

Classifier.load("path/to/this/directory").classify(["a text"])  # label, confidence, size that answered"""

Report = Callable[[str, dict[str, Any]], None]
"""Told what happens: ``("start", {...})``, ``("step", {...})``, ``("evaluation", {...})``."""


@dataclass(frozen=True, slots=True)
class ClassificationResult:
    """What a training run made.

    Attributes:
        classifier: of the epoch with the best validation accuracy, averaged over sizes by their weights.
        history: one entry an epoch: ``epoch``, ``loss`` and validation ``accuracy`` by size.
        best_epoch: the epoch the classifier is of; the first is 1.
        stopped: ``finished``, ``early stop`` or ``time limit``.
    """

    classifier: Classifier
    history: list[dict[str, Any]]
    best_epoch: int
    stopped: str


def train_classifier(
    data: ClassificationData, options: ClassificationOptions, report: Report = lambda event, facts: None
) -> ClassificationResult:
    """Train a table and its heads from the base's table on, and learn the cascade on the validation part.

    The loss is Σₘ cₘ · CE(logits of size m, label) (MRL, equation 1). A head sees its prefix at a fixed length, as
    retrieval does (the paper normalises prefixes for contrastive losses only): prefixes of unnormalised means, and of
    vectors normalised as a whole, were less accurate at 16 to 64 dimensions. The same data, options and device give
    the same classifier.

    Raises:
        TrainingError: the loss is no longer finite.
        InvalidOptionError: the sizes do not fit the kind.
    """
    run = _Run(data, options)
    started = time.monotonic()
    report("start", {"steps": run.steps * options.epochs, "done": 0, **data.counts(), "sizes": list(run.nesting.sizes)})
    history: list[dict[str, Any]] = []
    best, best_epoch, best_classifier, stopped = -1.0, 0, None, "finished"
    for epoch in range(1, options.epochs + 1):
        losses = []
        for step, rows in enumerate(run.batches(epoch), start=1):
            losses.append(run.step(rows))
            report("step", {"step": (epoch - 1) * run.steps + step, "loss": losses[-1]})
        classifier = run.classifier()
        scores = accuracy(classifier, classifier_vectors(classifier, data.valid), data.valid_targets)
        mean = float(np.average([scores[size] for size in run.nesting.sizes], weights=run.nesting.weights))
        loss = {size: float(np.mean([entry[size] for entry in losses])) for size in run.nesting.sizes}
        history.append({"epoch": epoch, "loss": loss, "accuracy": scores})
        if is_best := mean > best:
            best, best_epoch, best_classifier = mean, epoch, classifier
        report("evaluation", {"step": epoch * run.steps, "loss": loss, "accuracy": scores, "best": is_best})
        if epoch - best_epoch >= options.patience:
            stopped = "early stop"
            break
        if options.max_seconds and time.monotonic() - started > options.max_seconds:
            stopped = "time limit"
            break
    assert best_classifier is not None
    return ClassificationResult(_with_cascade(best_classifier, data), history, best_epoch, stopped)


class _Module(nn.Module):
    def __init__(self, table: Vectors, head: Head) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.from_numpy(table))
        self.head = head

    def forward(self, counts: csr_array) -> dict[int, Tensor]:
        device = self.table.device
        columns, offsets = (
            torch.from_numpy(part.astype(np.int64)).to(device) for part in (counts.indices, counts.indptr[:-1])
        )
        weights = torch.from_numpy(counts.data).to(device)
        sums = functional.embedding_bag(columns, self.table, offsets, mode="sum", per_sample_weights=weights)
        logits: dict[int, Tensor] = self.head(sums)
        return logits


class _Run:
    """A run: the module, its optimizer and the training rows."""

    def __init__(self, data: ClassificationData, options: ClassificationOptions) -> None:
        torch.manual_seed(options.seed)
        self.data, self.options = data, options
        self.nesting = options.nesting or Nesting.halving(options.width or data.base.dimension)
        if options.kind == "ff" and len(self.nesting.sizes) > 1:
            raise InvalidOptionError("sizes", f"sizes {list(self.nesting.sizes)}: kind 'ff' is a model of one size")
        self.base = resized(data.base, self.nesting.dimension, options.seed)
        # The table's own scale does not show in unit vectors, but a learning rate means the same with any base.
        self.base_table = self.base.table / self.base.table.std()
        # Rows that training never sees get no gradient and stay: the optimizer need not carry them.
        self.seen = np.unique(data.train.indices)
        self.counts = data.train[:, self.seen].tocsr()
        head = _HEADS[options.kind](self.nesting, len(data.labels), FEATURE_LENGTH)
        self.module = _Module(self.base_table[self.seen], head)
        self.module.to(choose_device(options.device))
        self.batch_size = min(options.batch_size, len(data.train_targets))
        self.steps = len(data.train_targets) // self.batch_size
        rates = [options.learning_rate, _HEAD_RATE * options.learning_rate]
        groups = [[self.module.table], list(self.module.head.parameters())]
        self.optimizer = torch.optim.AdamW(
            [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)],
            weight_decay=0.0,
            fused=True,
        )
        total = self.steps * options.epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: warmup_then_decay(step, total))

    def batches(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        order = np.random.default_rng([self.options.seed, epoch]).permutation(len(self.data.train_targets))
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(self.steps)]

    def step(self, rows: npt.NDArray[np.int64]) -> dict[int, float]:
        self.module.train()
        rng = np.random.default_rng([self.options.seed, self.schedule.last_epoch, 1])
        counts = without_tokens(self.counts[rows], self.options.token_dropout, rng)
        targets = torch.from_numpy(self.data.train_targets[rows]).to(self.module.table.device)
        losses = {
            size: functional.cross_entropy(logits, targets, label_smoothing=self.options.label_smoothing)
            for size, logits in self.module(counts).items()
        }
        loss = weighted_sum(losses, self.nesting)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {float(loss.detach())}: lower --learning-rate {self.options.learning_rate}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        self.optimizer.step()
        self.schedule.step()
        return {size: float(value.detach()) for size, value in losses.items()}

    def classifier(self) -> Classifier:
        """What the module is now, as arrays."""
        self.module.eval()
        table = self.base_table.copy()
        table[self.seen] = self.module.table.detach().cpu().numpy()
        encoder = replace(self.base, table=table, nesting=self.nesting)
        heads = linear_heads(self.module.head)
        return Classifier(encoder, self.data.labels, self.options.kind, heads)


def linear_heads(head: Head) -> LinearHeads:
    """Take a trained head's classifiers as arrays over unit prefixes."""
    assert head.length is not None
    maps = head.linear_maps()
    return LinearHeads(
        {size: (head.length * weight).cpu().numpy() for size, (weight, _) in maps.items()},
        {size: bias.cpu().numpy().copy() for size, (_, bias) in maps.items()},
        tied=isinstance(head, TiedHead),
    )


def resized(encoder: Encoder, dimension: int, seed: int) -> StaticEncoder:
    """Cut a static table to its first columns, or widen it by random ones, to ``dimension``.

    Raises:
        InvalidOptionError: not a static table.
    """
    if isinstance(encoder, StaticEncoder) and dimension <= encoder.dimension:
        return replace(encoder, table=encoder.table[:, :dimension].copy(), nesting=Nesting.halving(dimension))
    return widened(encoder, dimension, seed)


def without_tokens(counts: csr_array, share: float, rng: np.random.Generator) -> csr_array:
    """Drop each entry of a count matrix with probability ``share``."""
    if not share:
        return counts
    kept = rng.random(counts.nnz) >= share
    offsets = np.concatenate([[0], np.cumsum(kept)])[counts.indptr]
    return csr_array((counts.data[kept], counts.indices[kept], offsets), shape=counts.shape)


def classifier_vectors(classifier: Classifier, counts: csr_array) -> Vectors:
    """Unit vectors of texts whose tokens are counted already; equal to encoding them, without the tokenizer."""
    encoder = classifier.encoder
    assert isinstance(encoder, StaticEncoder)
    return truncate(counts @ encoder.table, encoder.dimension)


def accuracy(classifier: Classifier, vectors: Vectors, targets: npt.NDArray[np.int64]) -> dict[int, float]:
    """Top-1 accuracy by size; a target of -1, a label that was not trained, is never right."""
    return {
        size: float((logits.argmax(axis=1) == targets).mean()) for size, logits in classifier.logits(vectors).items()
    }


def confidences(
    classifier: Classifier, vectors: Vectors, targets: npt.NDArray[np.int64]
) -> tuple[dict[int, Vectors], dict[int, npt.NDArray[np.bool_]]]:
    """Confidence, and whether the answer is right, of each item by size: what a cascade is learned from."""
    answers = {size: answer(logits) for size, logits in classifier.logits(vectors).items()}
    return (
        {size: sure for size, (_, sure) in answers.items()},
        {size: predicted == targets for size, (predicted, _) in answers.items()},
    )


def _with_cascade(classifier: Classifier, data: ClassificationData) -> Classifier:
    """Learn thresholds that keep the largest size's validation accuracy at the fewest dimensions."""
    vectors = classifier_vectors(classifier, data.valid)
    curve = learn_cascades(*confidences(classifier, vectors, data.valid_targets))
    full = accuracy(classifier, vectors, data.valid_targets)[classifier.nesting.dimension]
    return replace(classifier, cascade=choose(curve, full), curve=tuple(curve))


def save_classifier(
    result: ClassificationResult, out: Path, options: ClassificationOptions, base: str, test: Mapping[int, float]
) -> None:
    """Write a sentence-transformers directory with heads, cascade, record and card.

    Args:
        result: what was trained.
        out: the directory; :func:`models.model_output.check_output` says what may be there.
        options: what it was trained with.
        base: name of the base model.
        test: test accuracy by size; empty where there was no test part.
    """
    partial = out / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    classifier = result.classifier
    as_trainable(classifier.encoder, "cpu").save(str(partial), create_model_card=False)
    classifier.save_heads(partial)
    used = {key: value for key, value in asdict(options).items() if key not in ("nesting", "width")}
    validation = result.history[result.best_epoch - 1]["accuracy"]
    write_record(
        partial,
        classifier.nesting,
        base=base,
        options=used,
        stopped=result.stopped,
        best_epoch=result.best_epoch,
        test={"accuracy": dict(test)},
        history=result.history,
    )
    write_card(
        partial,
        CardFacts(
            title=out.resolve().name,
            summary=f"A text classifier of kind {classifier.kind} with {len(classifier.labels)} labels, trained from "
            f"`{Path(base).name}`, with a linear head at every size.",
            nesting=classifier.nesting,
            content_hash=classifier.encoder.content_hash,
            training={"base": base, "stopped": result.stopped, "best epoch": result.best_epoch, **used},
            metrics={"top-1, validation": validation, **({"top-1, test": test} if test else {})},
            base=base,
            pipeline="text-classification",
            usage=_USAGE,
        ),
    )
    publish(partial, out)
