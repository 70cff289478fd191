"""Contrastive training of a nested embedding: ``mrl train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from models.data.pairs import Pair, pairs_hash, split_pairs
from models.directory.card import CardFacts, write_card
from models.directory.files import write_record
from models.directory.output import CHECKPOINT, check_output, staged
from models.encoders.base import Encoder, ImageEncoder
from models.encoders.device import choose_device
from models.encoders.load import load_encoder
from models.encoders.static import StaticEncoder
from models.errors import TrainingError
from models.evaluation import evaluate_pairs
from models.nesting import Nesting
from models.progress import Report, silent
from models.training.batches import ShuffledBatches
from models.training.checkpoints import Checkpoints, Progress
from models.training.gradient_cache import cached_backward
from models.training.loop import INTERRUPTED, LoopOptions, TrainingLoop, TrainingTask
from models.training.losses import info_nce, matryoshka, same_text
from models.training.options import TrainingOptions
from models.training.processes import Processes
from models.training.trainable import as_encoder, as_trainable, widened

_LEARNING_RATE = {"static": 5e-2, "transformer": 2e-5}
_NOT_FINGERPRINTED = ("nesting", "device", "max_seconds", "patience", "chunk", "precision", "compile")
"""Options that are compared elsewhere, or that do not change what a step learns."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of :func:`train`.

    Attributes:
        directory: the trained model.
        before, after: validation nDCG@10 of the base model and of the trained one, by size.
        steps: steps trained; the weights are those of step ``best_step``.
        stopped: ``finished``, ``early stop``, ``time limit`` or ``interrupted``.
    """

    directory: Path
    before: dict[int, float]
    after: dict[int, float]
    steps: int
    best_step: int
    stopped: str


def train(
    pairs: Sequence[Pair],
    base: str,
    out: str | Path,
    options: TrainingOptions | None = None,
    *,
    restart: bool = False,
    report: Report = silent,
) -> TrainingResult:
    """Train ``base`` on pairs and write a sentence-transformers directory to ``out``.

    The loss is InfoNCE on every prefix (MRL, equation 1, with InfoNCE in place of cross-entropy). Every evaluation
    writes a checkpoint to ``out``/checkpoint, from which the same call resumes. Ctrl-C (KeyboardInterrupt) ends the
    run with the best weights so far and keeps the checkpoint. Several processes (``accelerate launch``) each encode a
    share of every batch, with the same result; the first one evaluates, writes and reports.

    >>> pairs = read_pairs(["train.jsonl"]).pairs
    >>> result = train(pairs, "wordllama", "runs/my-model", TrainingOptions(nesting=Nesting.parse("64,128,256")))
    >>> result.after  # nDCG@10 on held-out pairs, by size

    Args:
        pairs: (query, document) texts, perhaps with hard negatives; a share of them is held out.
        base: ``wordllama``, a sentence-transformers directory or a hub name.
        out: directory of the trained model.
        options: everything else that decides the result.
        restart: delete an earlier model or checkpoint in ``out`` instead of resuming.
        report: receives progress events.

    Raises:
        TrainingError: ``out`` holds a finished model or the checkpoint of another run and ``restart`` is not set, or
            holds other files; or the loss is no longer finite.
        ModelError, InvalidOptionError: the base model or the options cannot be used.
        KeyboardInterrupt: interrupted before the first evaluation.
    """
    out, options = Path(out), options or TrainingOptions()
    checkpoints = Checkpoints(out / CHECKPOINT)
    processes = Processes(choose_device(options.device))
    if processes.first:
        check_output(out, restart)
    processes.wait()
    task = _ContrastiveTask(pairs, base, options, processes)
    loop = TrainingLoop(
        task,
        LoopOptions(
            steps=task.batches.per_epoch * options.epochs,
            evaluate_every=options.evaluate_every or task.batches.per_epoch,
            evaluate_first=True,
            patience=options.patience,
            max_seconds=options.max_seconds,
        ),
        checkpoints,
        fingerprint=task.fingerprint(pairs),
        report=report if processes.first else silent,
        agree=processes.agree,
        saves=processes.first,
    )
    stopped = loop.run()
    progress = checkpoints.load_best(task.module) if processes.first else loop.progress
    before, after = (_scores(progress.history, step) for step in (0, progress.best_step))
    result = TrainingResult(out, before, after, progress.step, progress.best_step, stopped)
    if processes.first:
        _save(task, progress, result)
        if stopped != INTERRUPTED:
            checkpoints.remove()
    processes.wait()
    return result


class _ContrastiveTask(TrainingTask):
    """InfoNCE on every prefix, over pairs and their hard negatives."""

    metric = "ndcg@10"
    module: SentenceTransformer

    def __init__(self, pairs: Sequence[Pair], base: str, options: TrainingOptions, processes: Processes) -> None:
        torch.manual_seed(options.seed)
        self.base, self.options, self.processes = base, options, processes
        nesting = options.nesting if options.width is None else None
        encoder = load_encoder(base, nesting=nesting, device=processes.device.type)
        if isinstance(encoder, ImageEncoder):
            # sentence-transformers would fetch a text that looks like the URL of an image.
            raise TrainingError(
                f"base {base!r} encodes images and cannot be trained on texts: give a folder of labelled images"
            )
        self.base_hash, self.prompts = encoder.content_hash, encoder.prompts
        if options.width is not None:
            encoder = widened(encoder, options.width, seed=options.seed)
        self.nesting = options.nesting or Nesting.halving(encoder.dimension)
        self.sizes, self.weights = self.nesting.sizes, self.nesting.weights
        self.kind = "static" if isinstance(encoder, StaticEncoder) else "transformer"
        self.module = as_trainable(encoder, str(processes.device))
        if options.compile:
            self.module.compile(dynamic=True)
        self.pairs, self.held_out = split_pairs(pairs, options.validation, options.seed)
        self.training, self.validation = len(self.pairs), len(self.held_out)
        self.batches = ShuffledBatches(len(self.pairs), options.batch_size, options.seed)
        self.autocast = options.precision == "bfloat16" or (
            options.precision == "auto" and processes.device.type == "cuda" and self.kind == "transformer"
        )
        self.learning_rate = options.learning_rate or _LEARNING_RATE[self.kind]
        # Fused because a step would otherwise read and write a whole table four times: 8 times faster on a CPU.
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(), lr=self.learning_rate, weight_decay=0.0, fused=True
        )
        self.advice = f"lower --learning-rate {self.learning_rate} or raise --temperature {options.temperature}"

    def fingerprint(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Return everything that decides the result."""
        return {
            "base": self.base,
            "base_hash": self.base_hash,
            "pairs": pairs_hash(pairs),
            "nesting": self.nesting.to_json(),
            **{key: value for key, value in asdict(self.options).items() if key not in _NOT_FINGERPRINTED},
        }

    def step(self, number: int) -> tuple[Tensor, dict[int, Tensor]]:
        """See :class:`TrainingTask`."""
        batch = [self.pairs[row] for row in self.batches[number]]
        negatives = [text for pair in batch for text in pair.negatives]
        sides = [pair.query for pair in batch], [pair.document for pair in batch] + negatives
        exclude = same_text(*sides).to(self.processes.device)
        prompts = self.prompts.query, self.prompts.document
        by_size: dict[int, Tensor] = {}

        def loss(queries: Tensor, documents: Tensor) -> Tensor:
            base = partial(info_nce, temperature=self.options.temperature, exclude=exclude)
            total, losses = matryoshka(base, (queries, documents), self.nesting)
            by_size.update(losses)
            return total

        self.module.train()
        if self.options.chunk is None and self.processes.count == 1:
            total = loss(*(self._forward(texts, prompt) for texts, prompt in zip(sides, prompts, strict=True)))
            total.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        else:
            total = cached_backward(
                lambda side, rows: self._forward(sides[side][rows], prompts[side]),
                [len(side) for side in sides],
                self.nesting.dimension,
                loss,
                self.options.chunk or -(-len(batch) // self.processes.count),
                self.processes,
            )
            self.processes.sum_gradients(self.module.parameters())
        return total, by_size

    def evaluate(self) -> dict[int, float]:
        """See :class:`TrainingTask`."""
        self.module.eval()
        return evaluate_pairs(self.encoder(), self.held_out, self.sizes)

    def encoder(self) -> Encoder:
        """Return an encoder with the weights as they are now."""
        return as_encoder(self.base, self.module, nesting=self.nesting, prompts=self.prompts)

    def _forward(self, texts: list[str], prompt: str) -> Tensor:
        features = self.module.preprocess([prompt + text for text in texts])
        features = {
            key: value.to(self.module.device) if hasattr(value, "to") else value for key, value in features.items()
        }
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.autocast):
            vectors: Tensor = self.module(features)["sentence_embedding"]
        return vectors.float()


def _scores(history: list[dict[str, Any]], step: int) -> dict[int, float]:
    if not history:
        return {}
    entry = next(entry for entry in history if entry["step"] == step)
    return {int(size): score for size, score in entry["ndcg@10"].items()}


def _save(task: _ContrastiveTask, progress: Progress, result: TrainingResult) -> None:
    out, before, after = result.directory, result.before, result.after
    with staged(out) as folder:
        task.module.save(str(folder), create_model_card=False)
        write_record(
            folder,
            task.nesting,
            base=task.base,
            base_hash=task.base_hash,
            options=progress.fingerprint,
            stopped=result.stopped,
            best_step=result.best_step,
            before={"ndcg@10": before},
            after={"ndcg@10": after},
            history=progress.history,
        )
        card = CardFacts(
            title=out.resolve().name,
            summary=f"A {task.kind} text embedding, trained on pairs of texts from `{Path(task.base).name}` with "
            "InfoNCE on every prefix.",
            nesting=task.nesting,
            content_hash=task.encoder().content_hash,
            training={
                "data": f"{task.training:,} pairs of texts to train on, {task.validation:,} held out",
                "sha256 of the pairs": progress.fingerprint["pairs"],
                "sha256 of the base": task.base_hash,
                **{key.replace("_", " "): value for key, value in asdict(task.options).items() if key != "nesting"},
                "peak learning rate": task.learning_rate,
                "processes": task.processes.count,
                "steps": f"{result.steps}, the best is {result.best_step} ({result.stopped})",
            },
            metrics={"nDCG@10 before, held-out pairs": before, "nDCG@10 after, held-out pairs": after},
            base=task.base,
            tags=(task.kind,),
        )
        write_card(folder, card)
