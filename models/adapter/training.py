"""Learning an adapter: from PCA on, by ranking distillation of every prefix from the whole vectors."""

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
from models.progress import Evaluated, Report, Step, TrainingStarted, silent
from models.training.losses import matryoshka, score_distillation

_WARMUP_STEPS = 20
_BLOCK = 1024
_Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LearnedAdapter:
    """An adapter, and what it is worth on rows it has not seen.

    Attributes:
        adapter: the best map of all validations.
        recall: share of the exact 10 nearest documents that a search by the prefix alone returns as its first 10, by
            size, on held-out rows; of the vectors as they were (``truncation``), of ``pca`` and of the ``adapter``.
        documents, queries: how many were learned from.
        steps: batches; the best map is of step ``best_step``, where 0 is PCA.
        stopped: ``finished``, ``time limit`` or ``interrupted``.
        options: what it was learned with.
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
        """How the adapter came to be, for a JSON file beside it."""
        facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "adapter"}
        return {**facts, "options": asdict(self.options)}

    def save(self, directory: Path) -> None:
        """Write the adapter and its facts."""
        self.adapter.save(directory, **self.facts())


def learn_adapter(
    documents: Vectors,
    options: AdapterOptions,
    queries: Vectors | None = None,
    *,
    report: Report = silent,
) -> LearnedAdapter:
    """Learn the rotation after which prefixes rank documents as nearly as they can as whole vectors do.

    The start is PCA without centring: the rotation whose prefixes keep most of the inner products' energy. From there
    the softmax of prefix cosines over documents is drawn to that of whole cosines, at every size at once
    (:func:`models.training.losses.score_distillation` under equation 1 of MRL). The documents of a batch are the
    nearest ones of all its queries. Only the order of prefix cosines matters, so they are multiplied by a learned
    number a size; each size's loss is divided by what it is at the start, so that all count alike. Cayley's map keeps
    the matrix orthogonal.

    Ctrl-C (KeyboardInterrupt) ends the run with the best map so far.

    Args:
        documents: shape (N, D), any scale; zeros and repeats are left out.
        options: sizes, bounds and seed.
        queries: shape (n, D), vectors of such texts as are searched for. Where None, some documents serve as queries
            for the others.
        report: receives progress events.

    Raises:
        InvalidOptionError: sizes that do not fit the vectors, vectors that are not finite or do not fit each other.
        TrainingError: too few different documents or queries.
        KeyboardInterrupt: interrupted before there was anything to keep.
    """
    nesting = options.nesting(documents.shape[1])
    rows = AdapterRows.split(documents, queries, options.validation, options.seed)
    run = _Run(rows, nesting, options, report)
    stopped = run.learn()
    adapter = Adapter(_ordered(run.best, run.moment, nesting).astype(np.float32), nesting)
    recall = {
        "truncation": run.recall(np.eye(nesting.dimension)),
        "pca": run.recall(run.start),
        "adapter": run.recall(adapter.matrix),
    }
    counts = len(rows.documents), len(rows.queries)
    return LearnedAdapter(adapter, recall, *counts, run.step, run.best_step, stopped, options)


class _Run:
    """One run: the map, its optimizer, and the best so far."""

    def __init__(self, rows: AdapterRows, nesting: Nesting, options: AdapterOptions, report: Report) -> None:
        self.started = time.monotonic()
        self.rows, self.options, self.report = rows, options, report
        self.device = choose_device(options.device)
        self.sizes = nesting.sizes[:-1]
        self.moment = rows.second_moment()
        self.start = self.best = _principal(self.moment)
        self.step = self.best_step = 0
        self.best_mean = self._mean_recall(self.start)
        self.documents, self.queries = (
            torch.from_numpy(part).to(self.device) for part in (rows.documents, rows.queries)
        )
        self.linear = nn.Linear(nesting.dimension, nesting.dimension, bias=False, device=self.device)
        parametrizations.orthogonal(self.linear, orthogonal_map="cayley", use_trivialization=True)
        self.linear.weight = torch.from_numpy(self.start.astype(np.float32)).to(self.device)
        self.log_scales = nn.Parameter(torch.zeros(len(self.sizes), device=self.device))
        self.optimizer = torch.optim.Adam([*self.linear.parameters(), self.log_scales], lr=options.learning_rate)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.nesting: Nesting | None = None

    def learn(self) -> str:
        """Run to the end, the time limit or an interrupt; return which."""
        options = self.options
        nearest = self._nearest()
        self.report(
            TrainingStarted(
                steps=options.steps,
                done=0,
                training=len(self.documents) + len(self.queries),
                validation=len(self.rows.held_documents) + len(self.rows.held_queries),
                sizes=self.sizes,
            )
        )
        try:
            while self.step < options.steps:
                spent = (time.monotonic() - self.started) / options.max_seconds
                if spent >= 1:
                    self._evaluate()
                    return "time limit"
                # What is left of the steps or of the time, whichever is less.
                left = min(1 - self.step / options.steps, 1 - spent)
                rate = options.learning_rate * min((self.step + 1) / _WARMUP_STEPS, left)
                loss = self._step(nearest, rate)
                self.report(Step(step=self.step, total=options.steps, loss=loss))
                if self.step % options.evaluate_every == 0 or self.step == options.steps:
                    self._evaluate()
        except KeyboardInterrupt:
            return "interrupted"
        return "finished"

    def recall(self, matrix: npt.NDArray[Any]) -> dict[int, float]:
        """Recall of the 10 nearest on held-out rows after a map."""
        transposed = matrix.T.astype(np.float32)
        return prefix_recall(self.rows.held_queries @ transposed, self.rows.held_documents @ transposed, self.sizes)

    def _mean_recall(self, matrix: npt.NDArray[Any]) -> float:
        return float(np.mean(list(self.recall(matrix).values())))

    def _nearest(self) -> Tensor:
        keep = min(self.options.neighbours, len(self.documents))
        blocks = [(block @ self.documents.T).topk(keep).indices for block in torch.split(self.queries, _BLOCK)]
        return torch.cat(blocks)

    def _step(self, nearest: Tensor, rate: float) -> float:
        chosen = torch.randperm(len(self.queries), generator=self.generator)[: self.options.batch_size].to(self.device)
        queries, documents = self.queries[chosen], self.documents[torch.unique(nearest[chosen])]
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
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        self.optimizer.step()
        self.step += 1
        return float(total.detach())

    def _evaluate(self) -> None:
        matrix = self.linear.weight.detach().cpu().numpy().astype(np.float64)
        recall = self.recall(matrix)
        mean = float(np.mean(list(recall.values())))
        if mean > self.best_mean:
            self.best, self.best_mean, self.best_step = matrix, mean, self.step
        self.report(
            Evaluated(step=self.step, metric="recall@10", scores=recall, mean=mean, best=self.best_step == self.step)
        )


def _principal(moment: _Matrix) -> _Matrix:
    """Principal directions as rows, the strongest first."""
    directions: _Matrix = np.linalg.eigh(moment)[1].T[::-1]
    return directions.copy()


def _ordered(matrix: _Matrix, moment: _Matrix, nesting: Nesting) -> _Matrix:
    """Make a map orthogonal to float64, and order the dimensions between two sizes by PCA.

    A prefix's cosines depend on what its dimensions span, which stays; sizes in between get better.
    """
    exact: _Matrix = scipy.linalg.polar(matrix)[0]
    blocks = [exact[start:end] for start, end in pairwise((0, *nesting.sizes))]
    return np.concatenate([_principal(block @ moment @ block.T) @ block for block in blocks])
