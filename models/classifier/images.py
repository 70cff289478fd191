"""Training of nested classifiers on labelled images: MRL, MRL-E and the fixed-feature baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.classifier.classifier import Classifier, Targets
from models.classifier.heads import FEATURE_LENGTH, MRLHead, TiedHead, linear_heads
from models.classifier.image_options import ImageTrainingOptions
from models.classifier.output import write_classifier
from models.classifier.training import ClassifierTask, TrainedClassifier, data_hash, train_task
from models.classifier.vision_model import base_vision_model, new_vision_model
from models.data.images import image_size, read_image
from models.data.labelled_images import LabelledImage
from models.encoders.base import Prompts
from models.encoders.device import choose_device
from models.encoders.image import ImageModelEncoder
from models.errors import ImageError, TrainingError
from models.nesting import Vectors, truncate
from models.progress import Report, silent

_LEARNING_RATE = {"new": 5e-3, "base": 1e-4}
_SIDES = 16, 64
_MOST_BYTES = 4 << 30
_BATCH = 256

_USAGE = """from models import Classifier, read_image

classifier = Classifier.load("path/to/this/directory")
vectors = classifier.encoder.encode_images([read_image("image.png")])  # unit rows, $dimension wide
classifier.classify_vectors(vectors)  # label, confidence, size that answered"""


def train_images(
    parts: Mapping[str, Sequence[LabelledImage]],
    options: ImageTrainingOptions,
    base: str | None = None,
    *,
    out: str | Path | None = None,
    report: Report = silent,
) -> TrainedClassifier:
    """Train a vision model and its heads, and learn a cascade on the validation part.

    The loss is Σₘ cₘ · CE(logits of size m, label) (MRL, equation 1) over prefixes scaled to a fixed length, as in
    :func:`models.train_classifier`.

    >>> parts = split_labelled_images(list_labelled_images("flowers"), 0.1, seed=0)  # flowers/rose/1.jpg …
    >>> trained = train_images(parts, ImageTrainingOptions(epochs=20))
    >>> trained.validation  # accuracy by size

    Args:
        parts: ``train``, ``valid`` and ``test``, as :func:`models.split_labelled_images` returns them.
        options: options of the run.
        base: name of a model with an image side to start from; if None, a small new model.
        out: directory the model will be written to; see :func:`models.train_classifier`.
        report: receives progress events.

    Returns:
        The classifier, whose encoder encodes images, and the images that could not be read.

    Raises:
        TrainingError: no image of a part can be read, the images do not fit into memory, the loss is no longer finite,
            or ``out`` holds the checkpoint of another run.
        ModelError, InvalidOptionError: the base cannot be used.
        KeyboardInterrupt: interrupted before the first evaluation, or without ``out``.
    """
    task = _ImageTask(parts, options, base)
    return replace(train_task(task, report=report, out=out), rejected=task.rejected)


class _ImageTask(ClassifierTask):
    """A vision model and its heads, trained on pixels; all images are held in memory."""

    def __init__(
        self, parts: Mapping[str, Sequence[LabelledImage]], options: ImageTrainingOptions, base: str | None
    ) -> None:
        torch.manual_seed(options.seed)
        self.based = base is not None
        device, dimension = choose_device(options.device), options.nesting.dimension
        if base is None:
            side = options.side or _side([item.path for item in parts["train"]])
            self.network = new_vision_model(dimension, side, device)
        else:
            self.network = base_vision_model(base, dimension, device)
        labels = tuple(sorted({item.label for item in parts["train"]}))
        self.rejected: list[tuple[Path, str]] = []
        read = {part: self._read(part, items, labels) for part, items in parts.items()}
        self.pixels = {part: pixels for part, (pixels, _) in read.items()}
        kind = TiedHead if options.kind == "mrl-e" else MRLHead
        self.head = kind(options.nesting, len(labels), FEATURE_LENGTH)
        module = nn.ModuleDict({"network": self.network, "head": self.head})
        rate = options.learning_rate or _LEARNING_RATE["new" if base is None else "base"]
        super().__init__(
            options,
            module,
            [(module.parameters(), rate)],
            options.nesting,
            labels,
            {part: targets for part, (_, targets) in read.items()},
            weight_decay=options.weight_decay,
        )

    def facts(self) -> dict[str, Any]:
        """See :class:`ClassifierTask`."""
        pixels = (self.pixels[part].numpy() for part in sorted(self.pixels))
        images = data_hash(self.labels, [*pixels, *(self.targets[part] for part in sorted(self.targets))])
        # The seed determines the weights of a new network.
        return {"base_hash": self.classifier().encoder.content_hash if self.based else None, "images": images}

    def logits(self, rows: npt.NDArray[np.int64], number: int) -> dict[int, Tensor]:
        """See :class:`ClassifierTask`."""
        logits: dict[int, Tensor] = self.head(self._forward(self.pixels["train"][rows]))
        return logits

    def vectors(self, part: str) -> Vectors:
        """See :class:`ClassifierTask`."""
        self.network.eval()
        with torch.inference_mode():
            pixels = self.pixels[part]
            parts = [self._forward(pixels[i : i + _BATCH]).cpu().numpy() for i in range(0, len(pixels), _BATCH)]
        return truncate(np.concatenate(parts), self.nesting.dimension)

    def classifier(self) -> Classifier:
        """See :class:`ClassifierTask`."""
        encoder = ImageModelEncoder("trained here", self.network, self.nesting, Prompts())
        return Classifier(encoder, self.labels, self.options.kind, linear_heads(self.head))

    def _read(self, part: str, items: Sequence[LabelledImage], labels: Sequence[str]) -> tuple[Tensor, Targets]:
        number = {label: place for place, label in enumerate(labels)}
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
                    f"{needed / 1e9:.1f} GB of memory: allowed are {_MOST_BYTES / 1e9:.1f}; give fewer images, or a "
                    "base with a smaller input size"
                )
        if items and not pixels:
            raise TrainingError(f"none of the {len(items)} images of part {part!r} can be read: {self.rejected[-1][1]}")
        return torch.cat(pixels) if pixels else torch.zeros(0), np.array(targets, np.int64)

    def _forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.network({"pixel_values": pixels.to(self.device), "modality": "image"})[
            "sentence_embedding"
        ]
        return vectors


def _side(paths: Sequence[Path]) -> int:
    """Choose a new model's input size: twice the median image size, as it downsamples by four, within bounds."""
    sizes = []
    for path in paths[:: max(1, len(paths) // 100)]:
        try:
            sizes.append(min(image_size(path)))
        except ImageError:
            continue  # reported when it is read
    least, most = _SIDES
    return int(np.clip(2 * np.median(sizes), least, most)) if sizes else most


def save_image_classifier(
    result: TrainedClassifier, out: str | Path, options: ImageTrainingOptions, base: str | None
) -> None:
    """Write the result of :func:`train_images`; see :func:`models.classifier.output.write_classifier`."""
    classifier = result.classifier
    start = f"from {base}" if base else "from random weights"
    write_classifier(
        result,
        out,
        options,
        base,
        title=f"Image classifier, {len(classifier.labels)} labels, {classifier.kind}",
        summary=f"Trained {start} on labelled images, with a linear classifier at every size.",
        pipeline="image-classification",
        usage=_USAGE,
    )
