"""Training of nested classifiers on labelled texts: MRL, MRL-E and the baselines, in a single code path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from models.classifier.classifier import Classifier
from models.classifier.heads import FEATURE_LENGTH, Head, MRLHead, SlimmableHead, TiedHead, linear_heads
from models.classifier.output import write_classifier
from models.classifier.text_data import ClassificationData
from models.classifier.text_options import ClassificationOptions
from models.classifier.training import ClassifierTask, TrainedClassifier, data_hash, train_task
from models.encoders.base import Encoder
from models.encoders.static import StaticEncoder
from models.nesting import Nesting, Vectors, truncate
from models.progress import Report, silent
from models.training.trainable import widened

_HEADS: Mapping[str, type[Head]] = {
    "mrl": MRLHead,
    "mrl-e": TiedHead,
    "ff": MRLHead,
    "slimmable": SlimmableHead,
}

_HEAD_RATE = 0.1
"""Learning rate of the heads relative to the table's: with equal rates, large sizes overfit."""
_USAGE = """from models import Classifier

Classifier.load("path/to/this/directory").classify(["a text"])  # label, confidence, size that answered"""


def train_classifier(
    data: ClassificationData,
    options: ClassificationOptions,
    *,
    out: str | Path | None = None,
    report: Report = silent,
) -> TrainedClassifier:
    """Train a static table and its heads, starting from the base's table, and learn a cascade on the validation part.

    The loss is Σₘ cₘ · CE(logits of size m, label) (MRL, equation 1). Prefixes are scaled to a fixed length before
    their head, as in retrieval (the paper normalises prefixes for contrastive losses only): unscaled prefixes of means
    and of normalised vectors were less accurate at 16 to 64 dimensions. The same data, options and device give the
    same classifier, whether or not the run was interrupted and resumed.

    >>> data = ClassificationData.prepare(parts, load_encoder("wordllama"))
    >>> trained = train_classifier(data, ClassificationOptions(), out="runs/news")
    >>> save_classifier(trained, "runs/news", ClassificationOptions(), "wordllama")

    Args:
        data: texts and labels.
        options: options of the run.
        out: directory the model will be written to. Checkpoints are kept there: the same call resumes from the last
            one, and Ctrl-C ends the run with the best epoch so far; see
            :func:`models.classifier.training.train_task`.
        report: receives progress events.

    Raises:
        TrainingError: the loss is no longer finite, or ``out`` holds the checkpoint of another run.
        InvalidOptionError: the sizes do not fit the kind.
        KeyboardInterrupt: interrupted before the first evaluation, or without ``out``.
    """
    return train_task(_TextTask(data, options), report=report, out=out)


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


class _TextTask(ClassifierTask):
    """A static table and its heads, trained on token counts."""

    module: _Module

    def __init__(self, data: ClassificationData, options: ClassificationOptions) -> None:
        torch.manual_seed(options.seed)
        self.data, self.token_dropout = data, options.token_dropout
        nesting = options.nesting or Nesting.halving(options.width or data.base.dimension)
        options.check_sizes(nesting)
        self.base = resized(data.base, nesting.dimension, options.seed)
        # The scale does not affect unit vectors; fixing it makes a learning rate mean the same with any base.
        self.base_table = self.base.table / self.base.table.std()
        # Rows of tokens that no training text has get no gradient: the optimizer need not hold them.
        self.seen = np.unique(data.train.indices)
        self.counts = data.train[:, self.seen].tocsr()
        head = _HEADS[options.kind](nesting, len(data.labels), FEATURE_LENGTH)
        module = _Module(self.base_table[self.seen], head)
        super().__init__(
            options,
            module,
            [([module.table], options.learning_rate), (head.parameters(), _HEAD_RATE * options.learning_rate)],
            nesting,
            data.labels,
            {"train": data.train_targets, "valid": data.valid_targets, "test": data.test_targets},
            label_smoothing=options.label_smoothing,
        )

    def facts(self) -> dict[str, Any]:
        """See :class:`ClassifierTask`."""
        counts = self.data.train, self.data.valid, self.data.test
        arrays = [array for part in counts for array in (part.indptr, part.indices, part.data)]
        texts = data_hash(self.labels, [*arrays, *self.targets.values()])
        return {"base_hash": self.data.base.content_hash, "texts": texts}

    def logits(self, rows: npt.NDArray[np.int64], number: int) -> dict[int, Tensor]:
        """See :class:`ClassifierTask`; each step drops different tokens."""
        rng = np.random.default_rng([self.options.seed, number, 1])
        logits: dict[int, Tensor] = self.module(without_tokens(self.counts[rows], self.token_dropout, rng))
        return logits

    def vectors(self, part: str) -> Vectors:
        """See :class:`ClassifierTask`."""
        return classifier_vectors(self.classifier(), getattr(self.data, part))

    def classifier(self) -> Classifier:
        """See :class:`ClassifierTask`."""
        self.module.eval()
        table = self.base_table.copy()
        table[self.seen] = self.module.table.detach().cpu().numpy()
        encoder = replace(self.base, table=table, nesting=self.nesting)
        return Classifier(encoder, self.labels, self.options.kind, linear_heads(self.module.head))


def resized(encoder: Encoder, dimension: int, seed: int) -> StaticEncoder:
    """Truncate a static table to its first ``dimension`` columns, or widen it with random columns.

    Raises:
        InvalidOptionError: the encoder is not static.
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
    """Return unit vectors of texts from their token counts; equal to encoding the texts.

    Args:
        classifier: a classifier over a static encoder.
        counts: from :meth:`StaticEncoder.token_counts`, shape (n, vocabulary).

    Returns:
        float32, shape (n, D).
    """
    encoder = classifier.encoder
    assert isinstance(encoder, StaticEncoder)
    return truncate(counts @ encoder.table, encoder.dimension)


def save_classifier(result: TrainedClassifier, out: str | Path, options: ClassificationOptions, base: str) -> None:
    """Write the result of :func:`train_classifier`; see :func:`models.classifier.output.write_classifier`."""
    classifier = result.classifier
    write_classifier(
        result,
        out,
        options,
        base,
        title=Path(out).resolve().name,
        summary=f"A text classifier of kind {classifier.kind} with {len(classifier.labels)} labels, trained from "
        f"`{Path(base).name}`, with a linear head at every size.",
        pipeline="text-classification",
        usage=_USAGE,
    )
