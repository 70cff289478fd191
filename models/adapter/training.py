"""Learning an adapter: starting from PCA, by ranking distillation of every prefix from the whole vectors."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from models.adapter.adapter import Adapter
from models.adapter.options import AdapterOptions
from models.adapter.rows import AdapterRows
from models.encoders.device import choose_device
from models.evaluation.prefix_recall import prefix_recall
from models.nesting import Nesting, Vectors
from models.progress import Report, silent
from models.training.checkpoints import BestWeights
from models.training.loop import LoopOptions, TrainingLoop, TrainingTask
from models.training.losses import matryoshka, score_distillation

_WARMUP_STEPS = 20
_BLOCK = 1024
_LEAST_SECONDS = 1e-3
_Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LearnedAdapter:
    """The result of :func:`learn_adapter`.

    Attributes:
        adapter: the best map of all validations.
        recall: recall@10 of a search by the prefix alone on held-out rows, by method and size. The methods are
            ``truncation`` (the vectors as they were), ``pca`` and ``adapter``.
        documents, queries: number of training rows.
        steps: steps trained; the map is that of step ``best_step``, where 0 is PCA.
        stopped: ``finished``, ``time limit`` or ``interrupted``.
        options: the options given.
    """

    adapter: Adapter
    recall: dict[str, dict[int, float]]
    documents: int
    queries: int
    steps: int
    best_step: int
    stopped: str
    options: AdapterOptions

    def facts(self) -> dict[str, Any]:
        """Return everything but the adapter, for a JSON file."""
        facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "adapter"}
        return {**facts, "options": asdict(self.options)}

    def save(self, directory: str | Path) -> None:
        """Write the adapter and how it was learned."""
        self.adapter.save(directory, **self.facts())


def learn_adapter(
    documents: Vectors,
    options: AdapterOptions | None = None,
    queries: Vectors | None = None,
    *,
    report: Report = silent,
) -> LearnedAdapter:
    """Learn a rotation after which prefixes rank documents as closely as possible to the whole vectors.

    It starts from PCA without centring: the rotation whose prefixes keep most of the inner products' energy. Training
    then moves the softmax of prefix cosines over documents towards that of the whole cosines, at all sizes at once
    (:func:`models.training.losses.score_distillation` under MRL, equation 1). The documents of a batch are the nearest
    neighbours of all its queries. Only the order of prefix cosines matters, so they are multiplied by a learned scale
    per size; each size's loss is divided by its initial value, so that all sizes count alike. The Cayley map keeps the
    matrix orthogonal.

    Ctrl-C (KeyboardInterrupt) ends the run with the best map so far.

    >>> learned = learn_adapter(np.load("vectors.npy"), AdapterOptions(sizes=(64, 128)))
    >>> learned.recall["adapter"][64] - learned.recall["pca"][64]
    >>> learned.save("adapter")

    Args:
        documents: shape (N, D), any scale; zero and repeated rows are dropped.
        options: sizes, limits and seed.
        queries: vectors of real queries, shape (n, D). If None, some of the documents serve as queries for the rest.
        report: receives progress events.

    Raises:
        InvalidOptionError: the sizes do not fit the vectors, or the vectors are not finite or of different dimensions.
        TrainingError: too few distinct documents or queries, or the loss is no longer finite.
        KeyboardInterrupt: interrupted before the first evaluation.
    """
    started = time.monotonic()
    options = options or AdapterOptions()
    nesting = options.nesting(documents.shape[1])
    rows = AdapterRows.split(documents, queries, options.validation, options.seed)
    task = _AdapterTask(rows, nesting, options)
    limits = LoopOptions(
        steps=options.steps,
        evaluate_every=options.evaluate_every,
        evaluate_first=True,
        max_seconds=max(_LEAST_SECONDS, options.max_seconds - (time.monotonic() - started)),
    )
    kept = BestWeights()
    stopped = TrainingLoop(task, limits, kept, report=report).run()
    progress = kept.load_best(task.module)
    adapter = Adapter(_ordered(task.matrix(), task.moment, nesting).astype(np.float32), nesting)
    recall = {
        "truncation": task.recall(np.eye(nesting.dimension)),
        "pca": task.recall(task.start),
        "adapter": task.recall(adapter.matrix),
    }
    counts = len(rows.documents), len(rows.queries)
    return LearnedAdapter(adapter, recall, *counts, progress.step, progress.best_step, stopped, options)


class _AdapterTask(TrainingTask):
    """Ranking distillation of every prefix from the whole vectors, by an orthogonal map."""

    metric = "recall@10"

    def __init__(self, rows: AdapterRows, nesting: Nesting, options: AdapterOptions) -> None:
        self.rows, self.options = rows, options
        self.device = choose_device(options.device)
        self.sizes = nesting.sizes[:-1]
        self.training = len(rows.documents) + len(rows.queries)
        self.validation = len(rows.held_documents) + len(rows.held_queries)
        self.advice = f"lower learning_rate {options.learning_rate} or raise temperature {options.temperature}"
        self.moment = rows.second_moment()
        self.start = _principal(self.moment)
        self.documents, self.queries = (
            torch.from_numpy(part).to(self.device) for part in (rows.documents, rows.queries)
        )
        self.linear = nn.Linear(nesting.dimension, nesting.dimension, bias=False, device=self.device)
        parametrizations.orthogonal(self.linear, orthogonal_map="cayley", use_trivialization=True)
        self.linear.weight = torch.from_numpy(self.start.astype(np.float32)).to(self.device)
        self.log_scales = nn.Parameter(torch.zeros(len(self.sizes), device=self.device))
        self.module = nn.Module()
        self.module.add_module("linear", self.linear)
        self.module.register_parameter("log_scales", self.log_scales)
        self.optimizer = torch.optim.Adam([*self.linear.parameters(), self.log_scales], lr=options.learning_rate)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.nearest = self._nearest()
        self.nesting: Nesting | None = None

    def rate(self, number: int, share: float, total: int) -> float:
        """See :class:`TrainingTask`."""
        return min((number + 1) / _WARMUP_STEPS, max(0.0, 1 - share))

    def step(self, number: int) -> tuple[Tensor, dict[int, Tensor]]:
        """See :class:`TrainingTask`. Batches come from a generator, so a run cannot be resumed."""
        chosen = torch.randperm(len(self.queries), generator=self.generator)[: self.options.batch_size].to(self.device)
        queries, documents = self.queries[chosen], self.documents[torch.unique(self.nearest[chosen])]
        scores = queries @ documents.T
        scales = dict(zip(self.sizes, self.log_scales.exp(), strict=True))

        def loss(queries: Tensor, documents: Tensor) -> Tensor:
            # Scaled queries scale the cosines.
            scaled = queries * scales[queries.shape[-1]]
            return score_distillation(scaled, documents, scores, self.options.temperature)

        prefix = self.linear.weight[: self.sizes[-1]].T
        equal = self.nesting or Nesting(self.sizes)
        total, losses = matryoshka(loss, (queries @ prefix, documents @ prefix), equal)
        if self.nesting is None:
            self.nesting = Nesting(
                self.sizes, tuple(1 / max(float(losses[size].detach()), 1e-6) for size in self.sizes)
            )
        total.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        return total, {}

    def evaluate(self) -> dict[int, float]:
        """See :class:`TrainingTask`."""
        return self.recall(self.matrix())

    def matrix(self) -> _Matrix:
        """Return the map as it is now, shape (D, D)."""
        matrix: _Matrix = self.linear.weight.detach().cpu().numpy().astype(np.float64)
        return matrix

    def recall(self, matrix: npt.NDArray[Any]) -> dict[int, float]:
        """Return recall@10 by prefix size on the held-out rows after a map."""
        transposed = matrix.T.astype(np.float32)
        return prefix_recall(self.rows.held_queries @ transposed, self.rows.held_documents @ transposed, self.sizes)

    def _nearest(self) -> Tensor:
        keep = min(self.options.neighbours, len(self.documents))
        blocks = [(block @ self.documents.T).topk(keep).indices for block in torch.split(self.queries, _BLOCK)]
        return torch.cat(blocks)


def _principal(moment: _Matrix) -> _Matrix:
    """Return the principal directions as rows, the strongest first."""
    directions: _Matrix = np.linalg.eigh(moment)[1].T[::-1]
    return directions.copy()


def _ordered(matrix: _Matrix, moment: _Matrix, nesting: Nesting) -> _Matrix:
    """Make a map orthogonal in float64, and order the dimensions between two sizes by PCA.

    The cosines of a prefix depend only on the span of its dimensions, which does not change; sizes in between improve.
    """
    exact: _Matrix = scipy.linalg.polar(matrix)[0]
    blocks = [exact[start:end] for start, end in pairwise((0, *nesting.sizes))]
    return np.concatenate([_principal(block @ moment @ block.T) @ block for block in blocks])
