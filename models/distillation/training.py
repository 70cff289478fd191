"""Training of a static student on its teacher's vectors and on pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from models.data.pairs import Pair
from models.distillation.options import DistillationOptions
from models.nesting import Nesting, Vectors
from models.progress import Report
from models.training.checkpoints import Checkpoints, Progress
from models.training.loop import LoopOptions, TrainingLoop, TrainingTask
from models.training.losses import cosine_regression, info_nce, matryoshka, same_text, score_distillation
from models.training.schedule import decay_with_warmup

_REGRESSION = 10.0
"""Weight of the distillation loss: it is then near 1 at the end, as InfoNCE is."""
_CHECKPOINT_SECONDS = 60.0


def distillation_loss(vectors: Tensor, targets: Tensor, nesting: Nesting) -> Tensor:
    """Cosine regression onto the teacher's vectors, on every prefix size up to the teacher's dimension.

    If the student is wider, the teacher's dimension T is one more size; the columns after it only have other losses.

    Args:
        vectors: the student's, shape (n, D), any scale.
        targets: the teacher's, shape (n, T), unit rows, leading dimensions first.
        nesting: sizes up to D.

    Returns:
        The weighted mean of 1 − cosine over the prefixes.
    """
    width = targets.shape[1]
    sizes = [size for size in nesting.sizes if size < width]
    if nesting.dimension >= width:
        sizes.append(width)
    covered = Nesting(tuple(sizes), nesting.weights[: len(sizes)])
    prefixes = vectors[:, : covered.dimension], targets[:, : covered.dimension]
    return matryoshka(cosine_regression, prefixes, covered)[0] / sum(covered.weights)


def ranking_loss(vectors: Tensor, targets: Tensor, nesting: Nesting, temperature: float) -> Tensor:
    """Listwise distillation on the shortest prefixes: each text ranks the other texts of its batch as the teacher does.

    A short prefix cannot hold the teacher's vectors, and regression decides direction by direction what it drops;
    retrieval needs the order. The sizes are those up to a quarter of the student's dimension, at least the first.
    Larger prefixes follow the teacher's vectors closely enough to have the right order without this loss.

    Args:
        vectors: the student's, shape (n, D), any scale.
        targets: the teacher's, shape (n, T), unit rows.
        nesting: sizes up to D.
        temperature: divisor of cosines.

    Returns:
        The weighted mean of :func:`models.training.losses.score_distillation` over those prefixes.
    """
    sizes = [size for size in nesting.sizes if size <= nesting.dimension // 4] or nesting.sizes[:1]
    short = Nesting(tuple(sizes), nesting.weights[: len(sizes)])
    scores, same = targets @ targets.T, torch.eye(len(targets), dtype=torch.bool, device=targets.device)

    def base(prefixes: Tensor) -> Tensor:
        return score_distillation(prefixes, prefixes, scores, temperature, exclude=same)

    return matryoshka(base, [vectors[:, : short.dimension]], short)[0] / sum(short.weights)


class TokenLists:
    """The tokens of many texts in one array."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        lists = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        self._ends = np.cumsum([len(ids) for ids in lists], dtype=np.int64)
        self._starts = np.concatenate([[0], self._ends[:-1]]).astype(np.int64)
        self._tokens = np.fromiter((token for ids in lists for token in ids), np.int64, int(self._ends[-1]))

    def batch(self, rows: npt.NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the tokens of some texts as the arguments of ``EmbeddingBag``.

        Args:
            rows: numbers of the texts, shape (n,).
            device: where to put the tensors.

        Returns:
            the texts' tokens one after another, and the position of each text's first token, shape (n,); both int64.
        """
        tokens = np.concatenate([self._tokens[self._starts[row] : self._ends[row]] for row in rows])
        lengths = self._ends[rows] - self._starts[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        return torch.from_numpy(tokens).to(device), torch.from_numpy(offsets).to(device)


class StudentTask(TrainingTask):
    """Distillation and contrastive losses on every prefix, for the training loop.

    Attributes:
        module: a model of one static table.
        pair_count: number of pairs.
    """

    module: SentenceTransformer

    def __init__(
        self,
        model: SentenceTransformer,
        texts: Sequence[str],
        targets: Vectors,
        pairs: Sequence[Pair],
        options: DistillationOptions,
    ) -> None:
        """Prepare a run.

        Args:
            model: a model of one static table, shape (tokens, D).
            texts: training texts.
            targets: the teacher's vectors of the texts, leading dimensions first, shape (len(texts), T), any scale.
            pairs: pairs for the contrastive loss; unused if ``options.contrast`` is 0.
            options: see :class:`DistillationOptions`.
        """
        self.module, self.options = model, options
        self.sizes, self.training, self.validation = options.nesting.sizes, len(targets), 0
        self.advice = f"lower --learning-rate {options.learning_rate} or raise --temperature {options.temperature}"
        self._embedding = model[0].embedding
        self._device = self._embedding.weight.device
        self._texts, self._targets = TokenLists(model[0].tokenizer, texts), torch.from_numpy(targets)
        self._pairs = pairs if options.contrast else ()
        self.pair_count = len(self._pairs)
        if self._pairs:
            self._queries = TokenLists(model[0].tokenizer, [pair.query for pair in pairs])
            self._documents = TokenLists(model[0].tokenizer, [pair.document for pair in pairs])
        # Sparse because a batch holds a tenth of the tokens: only their rows are read and written.
        self._embedding.sparse = True
        self.optimizer = torch.optim.SparseAdam(self._embedding.parameters(), lr=options.learning_rate)

    def rate(self, number: int, share: float, total: int) -> float:
        """See :class:`TrainingTask`."""
        return decay_with_warmup(share, total)

    def step(self, number: int) -> tuple[Tensor, dict[int, Tensor]]:
        """See :class:`TrainingTask`."""
        options, rng = self.options, np.random.default_rng([self.options.seed, number])
        rows = rng.choice(len(self._targets), options.batch_size, replace=False)
        targets = functional.normalize(self._targets[rows].to(self._device), dim=1)
        vectors = self._embedding(*self._texts.batch(rows, self._device))
        loss = _REGRESSION * distillation_loss(vectors, targets, options.nesting)
        if options.ranking:
            loss = loss + options.ranking * ranking_loss(vectors, targets, options.nesting, options.temperature)
        if self._pairs:
            rows = rng.choice(len(self._pairs), min(options.batch_size, len(self._pairs)), replace=False)
            exclude = same_text([self._pairs[row].query for row in rows], [self._pairs[row].document for row in rows])
            sides = [self._embedding(*side.batch(rows, self._device)) for side in (self._queries, self._documents)]
            base = partial(info_nce, temperature=options.temperature, exclude=exclude.to(self._device))
            contrast, _ = matryoshka(base, sides, options.nesting)
            loss = loss + options.contrast * contrast / sum(options.nesting.weights)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        return loss, {}

    def table(self) -> Vectors:
        """Return the table as it is now, shape (tokens, D)."""
        table: Vectors = self._embedding.weight.detach().cpu().numpy()
        return table


def train_student(
    task: StudentTask,
    checkpoints: Checkpoints,
    fingerprint: Mapping[str, Any],
    *,
    max_seconds: float | None,
    report: Report,
) -> Progress:
    """Train until the last step or the time limit; the learning rate reaches 0 at whichever comes first.

    A checkpoint is written every minute and on Ctrl-C; the same run resumes from it.

    Raises:
        TrainingError: the loss is no longer finite, or the checkpoint belongs to another run.
        KeyboardInterrupt: interrupted.
    """
    limits = LoopOptions(
        steps=task.options.steps,
        max_seconds=max_seconds,
        keep_on_interrupt=False,
        checkpoint_seconds=_CHECKPOINT_SECONDS,
    )
    history = [{"texts": task.training}]
    loop = TrainingLoop(task, limits, checkpoints, fingerprint=fingerprint, history=history, report=report)
    loop.run()
    return loop.progress
