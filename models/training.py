"""Contrastive training of a nested embedding: ``mrl train``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.checkpoints import Checkpoints, Progress
from models.encoders import load_encoder
from models.errors import TrainingError
from models.evaluation import evaluate_pairs
from models.losses import matryoshka_info_nce, same_text
from models.model_files import RECORD_NAME, write_record
from models.nesting import Nesting
from models.pairs import Pair, pairs_hash, split_pairs
from models.static_encoder import StaticEncoder
from models.trainable import as_encoder, as_trainable, widened
from models.training_options import TrainingOptions
from models.transformer_encoder import choose_device

_LEARNING_RATE = {"static": 5e-2, "transformer": 2e-5}
_WARMUP_SHARE = 0.1
_CHECKPOINT = "checkpoint"


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


Report = Callable[[str, dict[str, Any]], None]
"""Told what happens: ``("start", {...})``, ``("step", {...})``, ``("evaluation", {...})``."""


def train(
    pairs: Sequence[Pair],
    base: str,
    out: Path,
    options: TrainingOptions,
    *,
    restart: bool = False,
    report: Report = lambda event, facts: None,
) -> TrainingResult:
    """Train ``base`` on pairs and write a sentence-transformers directory to ``out``.

    A checkpoint is kept at every evaluation in ``out``/checkpoint; the same call goes on from it. Ctrl-C
    (KeyboardInterrupt) ends the run with the best weights so far and keeps the checkpoint, so that the run can still
    be taken up.

    Raises:
        TrainingError: ``out`` holds a finished model or another run's checkpoint and ``restart`` is not set, or holds
            something else than a model.
        ModelError, InvalidOptionError: base model or options cannot be used.
        KeyboardInterrupt: interrupted before there was anything to keep.
    """
    checkpoints = Checkpoints(out / _CHECKPOINT)
    _check_out(out, restart)
    run = _Run(pairs, base, options, checkpoints, report)
    stopped = run.train()
    run.progress = checkpoints.load_best(run.model)
    before, after = (_scores(run.progress.history, step) for step in (0, run.progress.best_step))
    _save(run, out, before, after, stopped)
    if stopped != "interrupted":
        checkpoints.remove()
    return TrainingResult(out, before, after, run.progress.step, run.progress.best_step, stopped)


def _check_out(out: Path, restart: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise TrainingError(f"{out} is a file: --out names a directory")
    has_model, has_checkpoint = (out / RECORD_NAME).exists(), (out / _CHECKPOINT).exists()
    # Only what a run of ours has made is ever deleted: --restart on somebody's home directory must not cost it.
    if not has_model and not has_checkpoint and any(out.iterdir()):
        raise TrainingError(f"{out} is not empty and holds no model of ours: give another --out")
    if restart:
        shutil.rmtree(out)
    elif has_model and not has_checkpoint:
        raise TrainingError(f"{out} already holds a model: give another --out, or --restart to replace it")


class _Run:
    """One training run: the model, its optimizer and where it stands."""

    def __init__(
        self, pairs: Sequence[Pair], base: str, options: TrainingOptions, checkpoints: Checkpoints, report: Report
    ) -> None:
        torch.manual_seed(options.seed)
        self.options, self.checkpoints, self.report = options, checkpoints, report
        own = options.nesting if options.width is None else None
        encoder = load_encoder(base, nesting=own, device=options.device)
        self.base_hash, self.prompts = encoder.content_hash, encoder.prompts
        if options.width is not None:
            encoder = widened(encoder, options.width, options.seed)
        self.nesting = options.nesting or Nesting.halving(encoder.dimension)
        self.base, self.kind = base, "static" if isinstance(encoder, StaticEncoder) else "transformer"
        self.model = as_trainable(encoder, choose_device(options.device))
        self.training, self.validation = split_pairs(pairs, options.validation, options.seed)
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
            **{k: v for k, v in asdict(options).items() if k not in ("nesting", "device", "max_seconds", "patience")},
        }
        resumed = checkpoints.resume(fingerprint, self.model, self.optimizer)
        self.progress = resumed or Progress(fingerprint)
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def train(self) -> str:
        """Run to the end, a stop or an interrupt; return which."""
        started = time.monotonic()
        every = self.options.evaluate_every or self.steps_an_epoch
        self.report(
            "start",
            {
                "steps": self.total_steps,
                "done": self.progress.step,
                "training": len(self.training),
                "validation": len(self.validation),
                "sizes": list(self.nesting.sizes),
            },
        )
        losses: list[dict[int, float]] = []
        try:
            if not self.progress.history:
                self._evaluate({})
            while self.progress.step < self.total_steps:
                if self.progress.waited >= self.options.patience:
                    return "early stop"
                losses.append(self._step())
                self.report("step", {"step": self.progress.step, "loss": losses[-1]})
                timed_out = self.options.max_seconds and time.monotonic() - started > self.options.max_seconds
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

    def _step(self) -> dict[int, float]:
        batch = self._batch()
        queries, documents = [pair.query for pair in batch], [pair.document for pair in batch]
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * _schedule(self.progress.step, self.total_steps)
        vectors = [self._forward(queries, self.prompts.query), self._forward(documents, self.prompts.document)]
        exclude = same_text(queries, documents).to(vectors[0].device)
        loss, by_size = matryoshka_info_nce(vectors[0], vectors[1], self.nesting, self.options.temperature, exclude)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {float(loss.detach())} at step {self.progress.step}: "
                f"lower --learning-rate {self.learning_rate} or raise --temperature {self.options.temperature}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        self.optimizer.step()
        self.progress.step += 1
        return by_size

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
        vectors: torch.Tensor = self.model(features)["sentence_embedding"]
        return vectors

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
        self.checkpoints.save(progress, self.model, self.optimizer, is_best)
        self.report(
            "evaluation", {"step": progress.step, "loss": losses, "ndcg@10": scores, "mean": mean, "best": is_best}
        )


def _schedule(step: int, total: int) -> float:
    warmup = max(1, round(_WARMUP_SHARE * total))
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)


def _scores(history: list[dict[str, Any]], step: int) -> dict[int, float]:
    if not history:
        return {}
    entry = next(entry for entry in history if entry["step"] == step)
    return {int(size): score for size, score in entry["ndcg@10"].items()}


def _save(run: _Run, out: Path, before: dict[int, float], after: dict[int, float], stopped: str) -> None:
    """Write the model into a folder of its own first, so that a kill never leaves half a model that looks whole."""
    partial = out / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    run.model.save(str(partial), create_model_card=False)
    write_record(
        partial,
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
    # mrl.json goes last: its presence says that the model is whole.
    (out / RECORD_NAME).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == RECORD_NAME):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)
    partial.rmdir()
