"""The training loop, shared by contrastive training, classifiers, distillation and adapters.

A :class:`TrainingTask` says what a step and an evaluation are. The loop does the rest: learning rate, check for
non-finite losses, best weights so far, early stopping, time limit, Ctrl-C, checkpoints, resuming and progress events.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from models.errors import TrainingError
from models.progress import Evaluated, Report, Step, TrainingStarted, silent
from models.training.checkpoints import BestWeights, Checkpoints, Progress
from models.training.schedule import warmup_then_decay

FINISHED, EARLY_STOP, TIME_LIMIT, INTERRUPTED = "finished", "early stop", "time limit", "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """When a training loop evaluates, saves and stops.

    Attributes:
        steps: steps of the whole run.
        evaluate_every: steps between evaluations; the last step is evaluated as well. None to never evaluate.
        evaluate_first: whether to evaluate before the first step, so that the initial weights can be the best.
        patience: evaluations without a better score after which the run stops; None for no early stopping.
        max_seconds: time limit of the loop. When it is over, the weights are evaluated and the run stops.
        whole_periods: whether a run past its time limit continues to the next regular evaluation.
        keep_on_interrupt: whether Ctrl-C ends the run normally with the best weights so far. Otherwise
            KeyboardInterrupt is raised.
        checkpoint_seconds: seconds between checkpoints for runs without evaluations; such a run also saves one when it
            is interrupted. None to save at evaluations only.
    """

    steps: int
    evaluate_every: int | None = None
    evaluate_first: bool = False
    patience: int | None = None
    max_seconds: float | None = None
    whole_periods: bool = False
    keep_on_interrupt: bool = True
    checkpoint_seconds: float | None = None


class TrainingTask(ABC):
    """What a loop trains.

    Attributes:
        module: holds everything that trains; a checkpoint is of its state.
        optimizer: over the parameters, with their peak learning rates.
        sizes: prefix sizes trained.
        weights: weight of each size in the mean that decides which evaluation is best; None if all count alike.
        training, validation: number of items.
        metric: name of what :meth:`evaluate` measures.
        advice: what to do about a loss that is not finite, for the error message.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    sizes: tuple[int, ...]
    weights: Sequence[float] | None = None
    training: int
    validation: int
    metric: str = ""
    advice: str

    @abstractmethod
    def step(self, number: int) -> tuple[Tensor, Mapping[int, Tensor]]:
        """Compute the loss of a batch and its gradients; the loop updates the weights.

        The batch must depend on the step's number alone, or a resumed run would differ from an uninterrupted one.

        Args:
            number: of the step, from 0.

        Returns:
            The loss, and the unweighted loss by prefix size, which may be empty.
        """

    def evaluate(self) -> dict[int, float]:
        """Return the metric by prefix size, as the weights are now; higher is better."""
        raise NotImplementedError

    def rate(self, number: int, share: float, total: int) -> float:
        """Return the learning rate of a step as a factor of the peak.

        Args:
            number: of the step, from 0.
            share: part of the run that is done, by steps or by time, whichever is more.
            total: steps of the whole run.
        """
        return warmup_then_decay(number, total)

    def position(self, step: int) -> dict[str, int]:
        """Return how the history names an evaluation after some steps."""
        return {"step": step}


class TrainingLoop:
    """One run of a task.

    Attributes:
        progress: where the run stands.
    """

    def __init__(
        self,
        task: TrainingTask,
        options: LoopOptions,
        kept: Checkpoints | BestWeights,
        *,
        fingerprint: Mapping[str, Any] | None = None,
        history: Sequence[dict[str, Any]] = (),
        report: Report = silent,
        agree: Callable[[bool], bool] = bool,
        saves: bool = True,
    ) -> None:
        """Prepare a run, or resume it from its checkpoint.

        Args:
            task: what to train.
            options: when to evaluate, save and stop.
            kept: stores the best weights, and checkpoints to resume from.
            fingerprint: everything that decides the result; a checkpoint with another one is refused.
            history: first entries of a new run's history.
            report: receives progress events.
            agree: makes all processes of a run take the first one's answer.
            saves: whether this process writes checkpoints.

        Raises:
            TrainingError: the checkpoint belongs to another run.
        """
        self.task, self.options, self._kept = task, options, kept
        self._report, self._agree, self._saves = report, agree, saves
        fingerprint = dict(fingerprint or {})
        resumed = kept.resume(fingerprint, task.module, task.optimizer)
        self.progress = resumed or Progress(fingerprint, history=list(history))
        self._first_step = self.progress.step
        self._started = self._saved = time.monotonic()
        self._losses: list[Mapping[int, float]] = []
        for group in task.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        # Created after resuming: it sets the learning rate of the next step.
        self._schedule = LambdaLR(
            task.optimizer, lambda number: task.rate(number, self._share(number), options.steps), self._first_step - 1
        )

    def run(self) -> str:
        """Train until the last step or an earlier stop.

        Returns:
            ``finished``, ``early stop``, ``time limit`` or ``interrupted``.

        Raises:
            TrainingError: the loss is no longer finite.
            KeyboardInterrupt: interrupted, and there is nothing to keep or the options say so.
        """
        task = self.task
        self._report(
            TrainingStarted(
                steps=self.options.steps,
                done=self.progress.step,
                training=task.training,
                validation=task.validation,
                sizes=task.sizes,
            )
        )
        try:
            return self._run()
        except KeyboardInterrupt:
            if self.options.keep_on_interrupt and self._kept.exist:
                return INTERRUPTED
            if self.options.checkpoint_seconds is not None:
                self._save(is_best=False)
            raise

    def _run(self) -> str:
        options, progress = self.options, self.progress
        if options.evaluate_first and not progress.history:
            self._evaluate()
        at_limit = options.max_seconds is not None and options.max_seconds <= 0
        while (stopped := self._ending(at_limit)) is None:
            self._step()
            late = self._late()
            regular = progress.step == options.steps or (
                options.evaluate_every is not None and progress.step % options.evaluate_every == 0
            )
            at_limit = late and (regular or not options.whole_periods)
            if options.evaluate_every is not None and (regular or at_limit):
                self._evaluate()
            elif options.checkpoint_seconds is not None:
                self._save_from_time_to_time(options.checkpoint_seconds)
        return stopped

    def _ending(self, at_limit: bool) -> str | None:
        if self.options.patience is not None and self.progress.waited >= self.options.patience:
            return EARLY_STOP
        if at_limit:
            return TIME_LIMIT
        return FINISHED if self.progress.step >= self.options.steps else None

    def _step(self) -> None:
        task, number = self.task, self.progress.step
        task.optimizer.zero_grad(set_to_none=True)
        loss, losses = task.step(number)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise TrainingError(f"the loss became {value} at step {number}: {task.advice}")
        task.optimizer.step()
        self.progress.step += 1
        self._schedule.step()
        by_size = {size: float(part.detach()) for size, part in losses.items()}
        if self.options.evaluate_every is not None:
            self._losses.append(by_size)
        self._report(Step(step=self.progress.step, total=self.options.steps, loss=value, losses=by_size))

    def _evaluate(self) -> None:
        task, progress = self.task, self.progress
        scores = task.evaluate()
        sizes = self._losses[0] if self._losses else {}
        losses = {size: float(np.mean([loss[size] for loss in self._losses])) for size in sizes}
        self._losses.clear()
        mean = float(np.average(list(scores.values()), weights=task.weights))
        is_best = mean > progress.best
        if is_best:
            progress.best, progress.best_step, progress.waited = mean, progress.step, 0
        else:
            progress.waited += 1
        # Keys are text, as they are when read from JSON.
        loss_by_size, score_by_size = ({str(size): value for size, value in by.items()} for by in (losses, scores))
        progress.history.append({**task.position(progress.step), "loss": loss_by_size, task.metric: score_by_size})
        self._save(is_best=is_best)
        self._report(
            Evaluated(step=progress.step, metric=task.metric, scores=scores, mean=mean, losses=losses, best=is_best)
        )

    def _save(self, *, is_best: bool) -> None:
        if self._saves:
            self._kept.save(self.progress, self.task.module, self.task.optimizer, is_best)
        self._saved = time.monotonic()

    def _save_from_time_to_time(self, seconds: float) -> None:
        if time.monotonic() - self._saved > seconds:
            self._save(is_best=False)

    def _late(self) -> bool:
        limit = self.options.max_seconds
        return limit is not None and self._agree(time.monotonic() - self._started > limit)

    def _share(self, number: int) -> float:
        """Return the part of the run that is done, by steps or by time, whichever is more."""
        share, limit = number / self.options.steps, self.options.max_seconds
        if limit is None:
            return share
        elapsed = (time.monotonic() - self._started) / max(1e-9, limit)
        return max(share, self._first_step / self.options.steps + elapsed)
