"""A nested encoder with a linear classifier at every size: loading and adaptive classification, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.classifier.cascade import Cascade
from models.data.lists import check_list
from models.directory.files import read_json
from models.encoders.base import Encoder, ImageEncoder
from models.encoders.load import load_encoder
from models.errors import InvalidOptionError, ModelError
from models.nesting import Nesting, Vectors, truncate

HEADS_NAME = "heads.safetensors"
CLASSIFIER_NAME = "classifier.json"
_BATCH = 1024

Targets = npt.NDArray[np.int64]
"""Label numbers of items, shape (n,); -1 for a label that the classifier does not have."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The predicted label of a text or image.

    Attributes:
        label: the most probable label.
        confidence: its softmax probability at the size that answered.
        dims: the size that answered.
    """

    label: str
    confidence: float
    dims: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {"label": self.label, "confidence": self.confidence, "dims": self.dims}


@dataclass(frozen=True, slots=True)
class LinearHeads:
    """The linear classifiers of all sizes, over prefixes truncated and normalised by :func:`models.truncate`.

    Attributes:
        weights: shape (L, m) by size m; L is the number of labels.
        biases: shape (L,) by size.
        tied: whether each weight is a column prefix of the largest and all sizes share a bias (MRL-E).
    """

    weights: Mapping[int, Vectors]
    biases: Mapping[int, Vectors]
    tied: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes, increasing."""
        return tuple(sorted(self.weights))

    def logits(self, vectors: Vectors, size: int) -> Vectors:
        """Return logits at a size, shape (n, L), of vectors of shape (n, ≥ size)."""
        logits: Vectors = truncate(vectors, size) @ self.weights[size].T + self.biases[size]
        return logits

    def save(self, path: str | Path) -> None:
        """Write a safetensors file; tied weights are stored once."""
        stored = {self.sizes[-1]: "tied"} if self.tied else {size: str(size) for size in self.sizes}
        tensors = {}
        for size, name in stored.items():
            tensors[f"{name}.weight"] = np.ascontiguousarray(self.weights[size])
            tensors[f"{name}.bias"] = np.ascontiguousarray(self.biases[size])
        save_file(tensors, path)

    @classmethod
    def load(cls, path: str | Path, sizes: Sequence[int]) -> LinearHeads:
        """Read a file written by :meth:`save`.

        Raises:
            ModelError: the file cannot be read or lacks a size.
        """
        try:
            tensors = load_file(path)
            if "tied.weight" in tensors:
                weight, bias = tensors["tied.weight"], tensors["tied.bias"]
                return cls({size: weight[:, :size] for size in sizes}, dict.fromkeys(sizes, bias), tied=True)
            return cls(
                {size: tensors[f"{size}.weight"] for size in sizes}, {size: tensors[f"{size}.bias"] for size in sizes}
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"cannot read the heads of sizes {list(sizes)} from {path}: {error}") from error


@dataclass(frozen=True, slots=True)
class Classifier:
    """A nested encoder with a linear classifier at every size and a cascade over them.

    >>> classifier = Classifier.load("runs/my-classifier")
    >>> classifier.classify(["a text", "another"])  # each stops at the shortest prefix that is confident enough
    >>> classifier.classify(["a text"], dims=64)  # at a fixed size
    >>> vectors = classifier.encoder.encode_images([read_image("image.png")])  # a classifier of images
    >>> classifier.classify_vectors(vectors)

    Attributes:
        encoder: produces the vectors that the heads were trained on.
        labels: the label of each row of the heads' weights.
        kind: how it was trained: ``mrl``, ``mrl-e``, ``ff`` or ``slimmable``.
        heads: the linear classifiers by size.
        cascade: decides the size that answers; if None, the largest size always does.
        curve: all learned cascades by increasing dimensions, including the one in use.
    """

    encoder: Encoder
    labels: tuple[str, ...]
    kind: str
    heads: LinearHeads
    cascade: Cascade | None = None
    curve: tuple[Cascade, ...] = ()

    @property
    def nesting(self) -> Nesting:
        """The encoder's nesting; each of its sizes has a head."""
        return self.encoder.nesting

    @property
    def of_images(self) -> bool:
        """Whether it classifies images: pass their vectors to :meth:`classify_vectors`."""
        return isinstance(self.encoder, ImageEncoder)

    def logits(self, vectors: Vectors) -> dict[int, Vectors]:
        """Return the logits of encoded documents, shape (n, L), by size.

        Args:
            vectors: shape (n, D), unit rows, as ``encoder.encode_documents`` returns them.
        """
        return {size: self.heads.logits(vectors, size) for size in self.nesting.sizes}

    def classify(
        self, texts: Sequence[str], *, dims: int | None = None, cascade: Cascade | None = None
    ) -> list[Classification]:
        """Classify texts in batches by the cascade: each size sees only the texts that no shorter size answered.

        Args:
            texts: any number of texts.
            dims: classify at this size only.
            cascade: use this cascade instead, such as one of :attr:`curve`.

        Raises:
            InvalidOptionError: ``dims`` is not a size of the classifier, or it classifies images.
        """
        if self.of_images:
            raise InvalidOptionError("input", f"{self.encoder.name} classifies images, not texts: give images")
        check_list(texts, "texts", "input")
        return [
            found
            for start in range(0, len(texts), _BATCH)
            for found in self.classify_vectors(
                self.encoder.encode_documents(texts[start : start + _BATCH]), dims=dims, cascade=cascade
            )
        ]

    def classify_vectors(
        self, vectors: Vectors, *, dims: int | None = None, cascade: Cascade | None = None
    ) -> list[Classification]:
        """Classify vectors of documents or images from :attr:`encoder`, shape (n, D); see :meth:`classify`."""
        if dims is not None and dims not in self.nesting.sizes:
            raise InvalidOptionError("dims", f"dims {dims}: the classifier has sizes {list(self.nesting.sizes)}")
        steps = self._steps(dims, cascade or self.cascade)
        answers: dict[int, Classification] = {}
        waiting = np.arange(len(vectors))
        for size, threshold in steps:
            predicted, confidence = answer(self.heads.logits(vectors[waiting], size))
            done = confidence >= threshold
            for row, label, sure in zip(
                waiting[done].tolist(), predicted[done].tolist(), confidence[done].tolist(), strict=True
            ):
                answers[row] = Classification(self.labels[label], sure, size)
            waiting = waiting[~done]
            if not len(waiting):
                break
        return [answers[row] for row in range(len(vectors))]

    def _steps(self, dims: int | None, cascade: Cascade | None) -> list[tuple[int, float]]:
        if dims is not None or cascade is None:
            return [(dims or self.nesting.dimension, 0.0)]
        # A threshold above 1 is never reached, so the size need not be evaluated.
        steps = list(zip(cascade.sizes, (*cascade.thresholds, 0.0), strict=True))
        return [(size, threshold) for size, threshold in steps if threshold <= 1]

    def save_heads(self, directory: str | Path) -> None:
        """Write heads, labels and cascades into the encoder's directory."""
        directory = Path(directory)
        self.heads.save(directory / HEADS_NAME)
        record = {
            "format": 1,
            "kind": self.kind,
            "labels": list(self.labels),
            "nesting": self.nesting.to_json(),
            "cascade": self.cascade.to_json() if self.cascade else None,
            "curve": [cascade.to_json() for cascade in self.curve],
        }
        (directory / CLASSIFIER_NAME).write_text(
            json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    @classmethod
    def load(cls, directory: str | Path, *, device: str = "auto") -> Classifier:
        """Load a classifier from the directory that ``mrl train`` wrote for labelled texts or images.

        Args:
            directory: the model directory.
            device: device of the encoder; see :func:`models.load_encoder`.

        Raises:
            ModelError: there is no classifier in the directory, or its files are inconsistent.
        """
        path = Path(directory).expanduser()
        if not (path / CLASSIFIER_NAME).exists():
            raise ModelError(
                f"no classifier in {path} ({CLASSIFIER_NAME} is missing): train one with `mrl train` on rows with text "
                "and label, or on a folder of images per label"
            )
        encoder = load_encoder(str(path), device=device)
        record = read_json(path / CLASSIFIER_NAME)
        try:
            labels, nesting = tuple(record["labels"]), Nesting.from_json(record["nesting"])
            cascade = Cascade.from_json(record["cascade"]) if record["cascade"] else None
            curve = tuple(Cascade.from_json(item) for item in record["curve"])
            kind = record["kind"]
        except (KeyError, TypeError) as error:
            raise ModelError(f"{path / CLASSIFIER_NAME} does not hold a classifier: {error!r}") from error
        heads = LinearHeads.load(path / HEADS_NAME, nesting.sizes)
        if nesting.sizes != encoder.nesting.sizes or len(heads.biases[nesting.dimension]) != len(labels):
            raise ModelError(
                f"{path}: {len(labels)} labels and sizes {list(nesting.sizes)} in {CLASSIFIER_NAME} do not fit the "
                f"{len(heads.biases[nesting.dimension])} outputs of {HEADS_NAME} and the encoder's sizes "
                f"{list(encoder.nesting.sizes)}"
            )
        return cls(encoder, labels, kind, heads, cascade, curve)


def load_classifier(directory: str | Path | None, encoder: Encoder, *, device: str = "auto") -> Classifier | None:
    """Load a classifier that shares an encoder already in memory, if it is the same model.

    Args:
        directory: the classifier's directory; if None, the encoder's own directory, if that holds a classifier.
        encoder: used as the classifier's encoder if their content hashes are equal.
        device: device of the classifier's own encoder otherwise.

    Returns:
        The classifier; None if ``directory`` is None and the encoder's directory holds none.

    Raises:
        ModelError: the directory holds no classifier, or its files are inconsistent.
    """
    if directory is None and not (Path(encoder.name) / CLASSIFIER_NAME).is_file():
        return None
    classifier = Classifier.load(directory or encoder.name, device=device)
    return (
        replace(classifier, encoder=encoder) if classifier.encoder.content_hash == encoder.content_hash else classifier
    )


def answer(logits: Vectors) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Return the most probable class of each row and its softmax probability.

    Args:
        logits: shape (n, L).
    """
    predicted = logits.argmax(axis=1)
    # The largest probability is 1 / Σ exp(logit − largest logit).
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return predicted, 1 / exponentials.sum(axis=1)
