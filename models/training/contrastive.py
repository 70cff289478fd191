"""Contrastive training of a nested embedding: ``mrl train``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.data.pairs import Pair, pairs_hash, split_pairs
from models.directory.card import CardFacts, write_card
from models.directory.files import write_record
from models.directory.output import CHECKPOINT, check_output, publish
from models.encoders.base import ImageEncoder
from models.encoders.device import choose_device
from models.encoders.load import load_encoder
from models.encoders.static import StaticEncoder
from models.errors import TrainingError
from models.evaluation import evaluate_pairs
from models.nesting import Nesting
from models.progress import Evaluated, Report, Step, TrainingStarted, silent
from models.training.checkpoints import Checkpoints, Progress
from models.training.gradient_cache import cached_backward
from models.training.losses import info_nce, matryoshka, same_text
from models.training.options import TrainingOptions
from models.training.processes import Processes
from models.training.schedule import warmup_then_decay
from models.training.trainable import as_encoder, as_trainable, widened

_LEARNING_RATE = {"static": 5e-2, "transformer": 2e-5}
_UNTOLD = ("nesting", "device", "max_seconds", "patience", "chunk", "precision", "compile")
"""Options that are told elsewhere, or that change how a run computes and not what."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a finished run made.

    Attributes:
        directory: the model.
        before, after: validation nDCG@10 of the base model and of the result, by size.
        steps: batches trained; the best weights are of step ``best_step``.
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
    out: Path,
    options: TrainingOptions,
    *,
    restart: bool = False,
    report: Report = silent,
) -> TrainingResult:
    """Train ``base`` on pairs and write a sentence-transformers directory to ``out``.

    A checkpoint is kept at every evaluation in ``out``/checkpoint; the same call goes on from it. Ctrl-C
    (KeyboardInterrupt) ends the run with the best weights so far and keeps the checkpoint, so that the run can still
    be taken up. Started as several processes (``accelerate launch``), each encodes a share of every batch, with the
    same result; the first one evaluates, writes and reports.

    Raises:
        TrainingError: ``out`` holds a finished model or another run's checkpoint and ``restart`` is not set, or holds
            something else than a model.
        ModelError, InvalidOptionError: base model or options cannot be used.
        KeyboardInterrupt: interrupted before there was anything to keep.
    """
    checkpoints = Checkpoints(out / CHECKPOINT)
    processes = Processes(choose_device(options.device))
    if processes.first:
        check_output(out, restart)
    processes.wait()
    run = _Run(pairs, base, options, checkpoints, processes, report if processes.first else silent)
    stopped = run.train()
    if processes.first:
        run.progress = checkpoints.load_best(run.model)
    before, after = (_scores(run.progress.history, step) for step in (0, run.progress.best_step))
    if processes.first:
        _save(run, out, before, after, stopped)
        if stopped != "interrupted":
            checkpoints.remove()
    processes.wait()
    return TrainingResult(out, before, after, run.progress.step, run.progress.best_step, stopped)


class _Run:
    """One training run: the model, its optimizer and where it stands."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        base: str,
        options: TrainingOptions,
        checkpoints: Checkpoints,
        processes: Processes,
        report: Report,
    ) -> None:
        torch.manual_seed(options.seed)
        self.options, self.checkpoints, self.processes, self.report = options, checkpoints, processes, report
        own = options.nesting if options.width is None else None
        encoder = load_encoder(base, nesting=own, device=processes.device.type)
        if isinstance(encoder, ImageEncoder):
            # sentence-transformers would fetch a text that looks like the address of an image.
            raise TrainingError(f"base {base!r} encodes images: train it on a folder of labelled images, not on texts")
        self.base_hash, self.prompts = encoder.content_hash, encoder.prompts
        if options.width is not None:
            encoder = widened(encoder, options.width, options.seed)
        self.nesting = options.nesting or Nesting.halving(encoder.dimension)
        self.base, self.kind = base, "static" if isinstance(encoder, StaticEncoder) else "transformer"
        self.model = as_trainable(encoder, str(processes.device))
        if options.compile:
            self.model.compile(dynamic=True)
        self.training, self.validation = split_pairs(pairs, options.validation, options.seed)
        self.autocast = options.precision == "bfloat16" or (
            options.precision == "auto" and processes.device.type == "cuda" and self.kind == "transformer"
        )
        self.batch_size = min(options.batch_size, len(self.training))
        self.steps_an_epoch = len(self.training) // self.batch_size
        self.total_steps = self.steps_an_epoch * options.epochs
        self.learning_rate = options.learning_rate or _LEARNING_RATE[self.kind]
        # Fused, because a step reads and writes a whole table four times over: 8 times faster on a CPU.
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate, weight_decay=0.0, fused=True)
        fingerprint = {
            "base": base,
            "base_hash": self.base_hash,
            "pairs": pairs_hash(pairs),
            "nesting": self.nesting.to_json(),
            **{key: value for key, value in asdict(options).items() if key not in _UNTOLD},
        }
        resumed = checkpoints.resume(fingerprint, self.model, self.optimizer)
        self.progress = resumed or Progress(fingerprint)
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def train(self) -> str:
        """Run to the end, a stop or an interrupt; return which."""
        started = time.monotonic()
        every = self.options.evaluate_every or self.steps_an_epoch
        self.report(
            TrainingStarted(
                steps=self.total_steps,
                done=self.progress.step,
                training=len(self.training),
                validation=len(self.validation),
                sizes=self.nesting.sizes,
            )
        )
        losses: list[dict[int, float]] = []
        try:
            if not self.progress.history:
                self._evaluate({})
            while self.progress.step < self.total_steps:
                if self.progress.waited >= self.options.patience:
                    return "early stop"
                total, by_size = self._step()
                losses.append(by_size)
                self.report(Step(step=self.progress.step, total=self.total_steps, loss=total, losses=by_size))
                limit = self.options.max_seconds
                timed_out = limit is not None and self.processes.agree(time.monotonic() - started > limit)
                if self.progress.step % every == 0 or self.progress.step == self.total_steps or timed_out:
                    self._evaluate(
                        {size: float(np.mean([loss[size] for loss in losses])) for size in self.nesting.sizes}
                    )
                    losses.clear()
                if timed_out:
                    return "time limit"
        except KeyboardInterrupt:
            if not self.checkpoints.exist:
                raise
            return "interrupted"
        return "finished"

    def _step(self) -> tuple[float, dict[int, float]]:
        batch = self._batch()
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

        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
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
            self.processes.sum_gradients(self.model.parameters())
        if not torch.isfinite(total):
            raise TrainingError(
                f"the loss became {float(total.detach())} at step {self.progress.step}: "
                f"lower --learning-rate {self.learning_rate} or raise --temperature {self.options.temperature}"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * warmup_then_decay(self.progress.step, self.total_steps)
        self.optimizer.step()
        self.progress.step += 1
        return float(total.detach()), {size: float(loss.detach()) for size, loss in by_size.items()}

    def _batch(self) -> list[Pair]:
        epoch, number = divmod(self.progress.step, self.steps_an_epoch)
        if self._order[0] != epoch:
            # The order depends on seed and epoch alone, so a resumed run sees the batches it would have seen.
            self._order = epoch, np.random.default_rng([self.options.seed, epoch]).permutation(len(self.training))
        rows = self._order[1][number * self.batch_size : (number + 1) * self.batch_size]
        return [self.training[row] for row in rows]

    def _forward(self, texts: list[str], prompt: str) -> torch.Tensor:
        features = self.model.preprocess([prompt + text for text in texts])
        features = {
            key: value.to(self.model.device) if hasattr(value, "to") else value for key, value in features.items()
        }
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.autocast):
            vectors: Tensor = self.model(features)["sentence_embedding"]
        return vectors.float()

    def _evaluate(self, losses: dict[int, float]) -> None:
        self.model.eval()
        scores = evaluate_pairs(
            as_encoder(self.base, self.model, self.nesting, self.prompts), self.validation, self.nesting.sizes
        )
        mean = float(np.average(list(scores.values()), weights=self.nesting.weights))
        progress = self.progress
        is_best = mean > progress.best
        if is_best:
            progress.best, progress.best_step, progress.waited = mean, progress.step, 0
        else:
            progress.waited += 1
        # Text keys, as they come back from JSON.
        loss_by_size, score_by_size = ({str(size): value for size, value in by.items()} for by in (losses, scores))
        progress.history.append({"step": progress.step, "loss": loss_by_size, "ndcg@10": score_by_size})
        if self.processes.first:
            self.checkpoints.save(progress, self.model, self.optimizer, is_best)
        self.report(
            Evaluated(step=progress.step, metric="ndcg@10", scores=scores, mean=mean, losses=losses, best=is_best)
        )


def _scores(history: list[dict[str, Any]], step: int) -> dict[int, float]:
    if not history:
        return {}
    entry = next(entry for entry in history if entry["step"] == step)
    return {int(size): score for size, score in entry["ndcg@10"].items()}


def _save(run: _Run, out: Path, before: dict[int, float], after: dict[int, float], stopped: str) -> None:
    """Write the model into a folder of its own first, so that a kill never leaves half a model that looks whole."""
    folder = out / "partial"
    shutil.rmtree(folder, ignore_errors=True)
    run.model.save(str(folder), create_model_card=False)
    write_record(
        folder,
        run.nesting,
        base=run.base,
        base_hash=run.base_hash,
        options=run.progress.fingerprint,
        stopped=stopped,
        best_step=run.progress.best_step,
        before={"ndcg@10": before},
        after={"ndcg@10": after},
        history=run.progress.history,
    )
    pairs = f"{len(run.training):,} pairs of texts to train on, {len(run.validation):,} held out"
    card = CardFacts(
        title=out.resolve().name,
        summary=f"A {run.kind} text embedding, trained on pairs of texts from `{Path(run.base).name}` with InfoNCE on "
        "every prefix.",
        nesting=run.nesting,
        content_hash=as_encoder(run.base, run.model, run.nesting, run.prompts).content_hash,
        training={
            "data": pairs,
            "sha256 of the pairs": run.progress.fingerprint["pairs"],
            "sha256 of the base": run.base_hash,
            **{key.replace("_", " "): value for key, value in asdict(run.options).items() if key != "nesting"},
            "peak learning rate": run.learning_rate,
            "processes": run.processes.count,
            "steps": f"{run.progress.step}, the best one {run.progress.best_step} ({stopped})",
        },
        metrics={"nDCG@10 before, held-out pairs": before, "nDCG@10 after, held-out pairs": after},
        base=run.base,
        tags=(run.kind,),
    )
    write_card(folder, card)
    publish(folder, out)
