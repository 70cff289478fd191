"""A nested encoder with a linear classifier at every size: loading, logits, adaptive classification. Needs no torch."""

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
from models.directory.files import read_json
from models.encoders.base import Encoder, ImageEncoder
from models.encoders.load import load_encoder
from models.errors import InvalidOptionError, ModelError
from models.nesting import Nesting, Vectors, truncate

HEADS_NAME = "heads.safetensors"
CLASSIFIER_NAME = "classifier.json"
_BATCH = 1024

Targets = npt.NDArray[np.int64]
"""Label numbers of items, shape (n,); -1 for a label that is none of the classifier's."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer for one text or image.

    Attributes:
        label: the likeliest label.
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
    """The linear classifier of every size, over prefixes cut and normalised by :func:`models.nesting.truncate`.

    Attributes:
        weights: shape (L, m) by size.
        biases: shape (L,) by size.
        tied: whether every weight is the beginning of the largest one and all biases are one (MRL-E).
    """

    weights: Mapping[int, Vectors]
    biases: Mapping[int, Vectors]
    tied: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes, increasing."""
        return tuple(sorted(self.weights))

    def logits(self, vectors: Vectors, size: int) -> Vectors:
        """Logits at one size, shape (n, L), of vectors of shape (n, ≥ size)."""
        logits: Vectors = truncate(vectors, size) @ self.weights[size].T + self.biases[size]
        return logits

    def save(self, path: Path) -> None:
        """Write a safetensors file; tied weights are stored once."""
        stored = {self.sizes[-1]: "tied"} if self.tied else {size: str(size) for size in self.sizes}
        tensors = {}
        for size, name in stored.items():
            tensors[f"{name}.weight"] = np.ascontiguousarray(self.weights[size])
            tensors[f"{name}.bias"] = np.ascontiguousarray(self.biases[size])
        save_file(tensors, path)

    @classmethod
    def load(cls, path: Path, sizes: Sequence[int]) -> LinearHeads:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: the file cannot be read or lacks one of the sizes.
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
    """An encoder, its heads, and the cascade over them.

    Attributes:
        encoder: gives the vectors the heads were trained on.
        labels: the label of each row of the heads' weights.
        kind: ``mrl``, ``mrl-e`` or ``ff``: how it was trained.
        heads: the classifiers by size.
        cascade: when a size's answer is taken; without one everything is classified at the largest size.
        curve: all cascades learned, by rising dimensions; the one in use is among them.
    """

    encoder: Encoder
    labels: tuple[str, ...]
    kind: str
    heads: LinearHeads
    cascade: Cascade | None = None
    curve: tuple[Cascade, ...] = ()

    @property
    def nesting(self) -> Nesting:
        """The encoder's nesting; its sizes are those with a head."""
        return self.encoder.nesting

    @property
    def of_images(self) -> bool:
        """Whether it was trained on images: their vectors go to :meth:`classify_vectors`, and texts nowhere."""
        return isinstance(self.encoder, ImageEncoder)

    def logits(self, vectors: Vectors) -> dict[int, Vectors]:
        """Logits of encoded documents at every size.

        Args:
            vectors: shape (n, D), unit rows, as ``encoder.encode_documents`` gives them.

        Returns:
            Shape (n, L) by size.
        """
        return {size: self.heads.logits(vectors, size) for size in self.nesting.sizes}

    def classify(
        self, texts: Sequence[str], *, dims: int | None = None, cascade: Cascade | None = None
    ) -> list[Classification]:
        """Classify texts by the cascade, in batches: each size sees only what no shorter one has answered.

        Args:
            texts: any number.
            dims: use this size alone instead.
            cascade: use this one of the curve instead.

        Raises:
            InvalidOptionError: a size without a head, or a classifier of images.
        """
        if self.of_images:
            raise InvalidOptionError("input", f"{self.encoder.name} classifies images and not texts: give images")
        return [
            answer
            for start in range(0, len(texts), _BATCH)
            for answer in self.classify_vectors(
                self.encoder.encode_documents(texts[start : start + _BATCH]), dims=dims, cascade=cascade
            )
        ]

    def classify_vectors(
        self, vectors: Vectors, *, dims: int | None = None, cascade: Cascade | None = None
    ) -> list[Classification]:
        """:meth:`classify` of vectors that ``encoder`` gave, shape (n, D): of documents, or of images."""
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
        # A threshold above 1 is never reached: the size need not be looked at.
        steps = list(zip(cascade.sizes, (*cascade.thresholds, 0.0), strict=True))
        return [(size, threshold) for size, threshold in steps if threshold <= 1]

    def save_heads(self, directory: Path) -> None:
        """Write heads, labels and cascades into the encoder's directory."""
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
        """Load a directory that ``mrl train`` wrote from labelled texts or images.

        Raises:
            ModelError: no such directory, no classifier in it, or files that do not fit together.
        """
        path = Path(directory).expanduser()
        if not (path / CLASSIFIER_NAME).exists():
            raise ModelError(
                f"no classifier in {path} ({CLASSIFIER_NAME} is missing): `mrl train` makes one from rows with text "
                "and label, or from a folder of images for each label"
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


def load_classifier(place: str | None, encoder: Encoder, *, device: str = "auto") -> Classifier | None:
    """Load the classifier of a directory; where none is named, that in the directory of an encoder, if it holds one.

    Args:
        place: the directory.
        encoder: serves as the classifier's own too where it is the same, so that a model is in memory once.
        device: where another one runs.

    Raises:
        ModelError: the directory holds no classifier, or files that do not fit together.
    """
    if place is None and not (Path(encoder.name) / CLASSIFIER_NAME).is_file():
        return None
    classifier = Classifier.load(place or encoder.name, device=device)
    return (
        replace(classifier, encoder=encoder) if classifier.encoder.content_hash == encoder.content_hash else classifier
    )


def answer(logits: Vectors) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Return the likeliest class of each row and its softmax probability.

    Args:
        logits: shape (n, L).
    """
    predicted = logits.argmax(axis=1)
    # The greatest probability is 1 / Σ exp(logit − greatest logit).
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return predicted, 1 / exponentials.sum(axis=1)
