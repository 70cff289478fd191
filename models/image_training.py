"""Training of nested classifiers on labelled images: MRL, MRL-E and the fixed-feature baseline."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.cascade import choose, learn_cascades
from models.classification import FEATURE_LENGTH, accuracy, confidences, linear_heads
from models.classifier import Classifier
from models.encoders import Prompts
from models.errors import ImageError, TrainingError
from models.heads import MRLHead, TiedHead
from models.image_encoder import ImageModelEncoder
from models.image_training_options import ImageTrainingOptions
from models.images import image_size, read_image
from models.labelled_images import LabelledImage
from models.losses import weighted_sum
from models.model_card import CardFacts, write_card
from models.model_files import write_record
from models.model_output import publish
from models.nesting import Vectors, truncate
from models.schedule import warmup_then_decay
from models.transformer_encoder import choose_device
from models.vision_model import base_vision_model, new_vision_model

_LEARNING_RATE = {"new": 5e-3, "base": 1e-4}
_SIDES = 16, 64
_MOST_BYTES = 4 << 30
_BATCH = 256

_USAGE = """from pathlib import Path

from models.classifier import Classifier
from models.images import read_image

classifier = Classifier.load("path/to/this/directory")
vectors = classifier.encoder.encode_images([read_image(Path("image.png"))])  # unit rows, $dimension wide
classifier.classify_vectors(vectors)  # label, confidence, size that answered"""

Report = Callable[[str, dict[str, Any]], None]
"""Told what happens: ``("start", {...})``, ``("step", {...})``, ``("evaluation", {...})``."""


@dataclass(frozen=True, slots=True)
class ImageTrainingResult:
    """What a training run made.

    Attributes:
        classifier: of the epoch with the best validation accuracy, averaged over sizes by their weights; its encoder
            encodes images.
        history: one entry an epoch: ``epoch``, ``loss`` and validation ``accuracy`` by size.
        best_epoch: the epoch the classifier is of; the first is 1.
        test: test accuracy by size; empty where there was no test part.
        rejected: images passed over, and why.
        stopped: ``finished``, ``early stop`` or ``time limit``.
    """

    classifier: Classifier
    history: list[dict[str, Any]]
    best_epoch: int
    test: dict[int, float]
    rejected: list[tuple[Path, str]]
    stopped: str


def train_images(
    parts: Mapping[str, Sequence[LabelledImage]],
    options: ImageTrainingOptions,
    base: str | None = None,
    report: Report = lambda event, facts: None,
) -> ImageTrainingResult:
    """Train a vision model and its heads, and learn the cascade on the validation part.

    The loss is Σₘ cₘ · CE(logits of size m, label) (MRL, equation 1); a head sees its prefix at a fixed length, as in
    :func:`models.classification.train_classifier`.

    Args:
        parts: ``train``, ``valid`` and ``test``, as :func:`models.labelled_images.split_labelled_images` gives them.
        options: what decides the run.
        base: a model with an image side to train from; a small new one where None.
        report: told what happens.

    Raises:
        TrainingError: no image of a part can be read, they take too much memory, or the loss is no longer finite.
        ModelError, InvalidOptionError: the base cannot be used.
    """
    run = _Run(parts, options, base)
    started = time.monotonic()
    report("start", {"steps": run.steps * options.epochs, "done": 0, **run.counts(), "sizes": list(run.nesting.sizes)})
    history: list[dict[str, Any]] = []
    best, best_epoch, best_state, stopped = -1.0, 0, run.state(), "finished"
    for epoch in range(1, options.epochs + 1):
        losses = []
        for step, rows in enumerate(run.batches(epoch), start=1):
            losses.append(run.step(rows))
            report("step", {"step": (epoch - 1) * run.steps + step, "loss": losses[-1]})
        scores = run.accuracy("valid")
        mean = float(np.average([scores[size] for size in run.nesting.sizes], weights=run.nesting.weights))
        loss = {size: float(np.mean([entry[size] for entry in losses])) for size in run.nesting.sizes}
        history.append({"epoch": epoch, "loss": loss, "accuracy": scores})
        if is_best := mean > best:
            best, best_epoch, best_state = mean, epoch, run.state()
        report("evaluation", {"step": epoch * run.steps, "loss": loss, "accuracy": scores, "best": is_best})
        if epoch - best_epoch >= options.patience:
            stopped = "early stop"
            break
        if options.max_seconds and time.monotonic() - started > options.max_seconds:
            stopped = "time limit"
            break
    run.load(best_state)
    test = run.accuracy("test") if len(run.targets["test"]) else {}
    return ImageTrainingResult(run.with_cascade(), history, best_epoch, test, run.rejected, stopped)


class _Run:
    """A run: the network, its heads, the optimizer, and all images as pixels."""

    def __init__(
        self, parts: Mapping[str, Sequence[LabelledImage]], options: ImageTrainingOptions, base: str | None
    ) -> None:
        torch.manual_seed(options.seed)
        self.options, self.nesting = options, options.nesting
        self.device = choose_device(options.device)
        dimension = self.nesting.dimension
        if base is None:
            side = options.side or _side([item.path for item in parts["train"]])
            self.network = new_vision_model(dimension, side, self.device)
        else:
            self.network = base_vision_model(base, dimension, self.device)
        self.labels = tuple(sorted({item.label for item in parts["train"]}))
        self.rejected: list[tuple[Path, str]] = []
        self.pixels: dict[str, Tensor] = {}
        self.targets: dict[str, npt.NDArray[np.int64]] = {}
        for part, items in parts.items():
            self.pixels[part], self.targets[part] = self._read(part, items)
        head = TiedHead if options.kind == "mrl-e" else MRLHead
        self.head = head(self.nesting, len(self.labels), FEATURE_LENGTH).to(self.device)
        self.batch_size = min(options.batch_size, len(self.targets["train"]))
        self.steps = len(self.targets["train"]) // self.batch_size
        rate = options.learning_rate or _LEARNING_RATE["new" if base is None else "base"]
        parameters = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=options.weight_decay, fused=True)
        total = self.steps * options.epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: warmup_then_decay(step, total))

    def counts(self) -> dict[str, int]:
        return {"training": len(self.targets["train"]), "validation": len(self.targets["valid"])}

    def batches(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        order = np.random.default_rng([self.options.seed, epoch]).permutation(len(self.targets["train"]))
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(self.steps)]

    def step(self, rows: npt.NDArray[np.int64]) -> dict[int, float]:
        self.network.train()
        targets = torch.from_numpy(self.targets["train"][rows]).to(self.device)
        logits: dict[int, Tensor] = self.head(self._forward(self.pixels["train"][rows]))
        losses = {size: functional.cross_entropy(values, targets) for size, values in logits.items()}
        loss = weighted_sum(losses, self.nesting)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss became {float(loss.detach())}: lower --learning-rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        self.optimizer.step()
        self.schedule.step()
        return {size: float(value.detach()) for size, value in losses.items()}

    def accuracy(self, part: str) -> dict[int, float]:
        return accuracy(self.classifier(), self._vectors(part), self.targets[part])

    def classifier(self) -> Classifier:
        """What the network and its heads are now."""
        encoder = ImageModelEncoder("trained here", self.network, self.nesting, Prompts())
        heads = linear_heads(self.head)
        return Classifier(encoder, self.labels, self.options.kind, heads)

    def with_cascade(self) -> Classifier:
        """:meth:`classifier` with thresholds that keep the largest size's validation accuracy."""
        classifier, vectors, targets = self.classifier(), self._vectors("valid"), self.targets["valid"]
        curve = learn_cascades(*confidences(classifier, vectors, targets))
        full = accuracy(classifier, vectors, targets)[self.nesting.dimension]
        return replace(classifier, cascade=choose(curve, full), curve=tuple(curve))

    def state(self) -> list[dict[str, Tensor]]:
        """Copy all weights."""
        parts: tuple[nn.Module, ...] = (self.network, self.head)
        return [{key: value.detach().clone() for key, value in part.state_dict().items()} for part in parts]

    def load(self, state: list[dict[str, Tensor]]) -> None:
        """Take weights back that :meth:`state` copied."""
        self.network.load_state_dict(state[0])
        self.head.load_state_dict(state[1])

    def _read(self, part: str, items: Sequence[LabelledImage]) -> tuple[Tensor, npt.NDArray[np.int64]]:
        number = {label: place for place, label in enumerate(self.labels)}
        pixels: list[Tensor] = []
        targets: list[int] = []
        for item in items:
            try:
                image = read_image(item.path)
            except ImageError as error:
                self.rejected.append((item.path, error.reason))
                continue
            pixels.append(self.network.preprocess([{"image": image}])["pixel_values"])
            targets.append(number.get(item.label, -1))
            if (needed := pixels[0].nbytes * len(items)) > _MOST_BYTES:
                raise TrainingError(
                    f"{len(items)} images of {pixels[0].shape[-1]} x {pixels[0].shape[-2]} pixels take "
                    f"{needed / 1e9:.1f} GB of memory: allowed are {_MOST_BYTES / 1e9:.1f}; give fewer of them, or a "
                    "base that sees smaller ones"
                )
        if items and not pixels:
            raise TrainingError(f"none of the {len(items)} images of part {part!r} can be read: {self.rejected[-1][1]}")
        return torch.cat(pixels) if pixels else torch.zeros(0), np.array(targets, np.int64)

    def _vectors(self, part: str) -> Vectors:
        """Unit vectors of a part's images."""
        self.network.eval()
        with torch.inference_mode():
            pixels = self.pixels[part]
            parts = [self._forward(pixels[i : i + _BATCH]).cpu().numpy() for i in range(0, len(pixels), _BATCH)]
        return truncate(np.concatenate(parts), self.nesting.dimension)

    def _forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.network({"pixel_values": pixels.to(self.device), "modality": "image"})[
            "sentence_embedding"
        ]
        return vectors


def _side(paths: Sequence[Path]) -> int:
    """Choose the side a new model sees: twice the images' median, because it reads one place in four, within bounds."""
    sizes = []
    for path in paths[:: max(1, len(paths) // 100)]:
        try:
            sizes.append(min(image_size(path)))
        except ImageError:
            continue  # told of when it is read
    least, most = _SIDES
    return int(np.clip(2 * np.median(sizes), least, most)) if sizes else most


def save_image_classifier(
    result: ImageTrainingResult, out: Path, options: ImageTrainingOptions, base: str | None
) -> None:
    """Write a sentence-transformers directory with heads, cascade, record and card.

    Args:
        result: what was trained.
        out: the directory; :func:`models.model_output.check_output` says what may be there.
        options: what it was trained with.
        base: name of the base model, if there was one.
    """
    partial = out / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    classifier = result.classifier
    assert isinstance(classifier.encoder, ImageModelEncoder)
    classifier.encoder.model.save(str(partial), create_model_card=False)
    classifier.save_heads(partial)
    used = {key: value for key, value in asdict(options).items() if key != "nesting"}
    validation = result.history[result.best_epoch - 1]["accuracy"]
    write_record(
        partial,
        classifier.nesting,
        base=base,
        options=used,
        stopped=result.stopped,
        best_epoch=result.best_epoch,
        test={"accuracy": result.test},
        history=result.history,
    )
    start = f"from {base}" if base else "from random weights"
    write_card(
        partial,
        CardFacts(
            title=f"Image classifier, {len(classifier.labels)} labels, {classifier.kind}",
            summary=f"Trained {start} on labelled images, with a linear classifier at every size.",
            nesting=classifier.nesting,
            content_hash=classifier.encoder.content_hash,
            training={"base": base, "stopped": result.stopped, "best epoch": result.best_epoch, **used},
            metrics={"top-1, validation": validation, **({"top-1, test": result.test} if result.test else {})},
            base=base,
            pipeline="image-classification",
            usage=_USAGE,
        ),
    )
    publish(partial, out)
