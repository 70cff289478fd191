"""Evaluates a representation by labels: at each size, between sizes, and coarse-to-fine. Takes arrays, not models."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bounds import check_at_least
from models.errors import InvalidOptionError
from models.evaluation.few_shot import Interval, few_shot
from models.evaluation.probe import linear_probe
from models.evaluation.retrieval import DEPTH, RetrievalPlan, RetrievalScore, evaluate_retrieval
from models.nesting import Nesting, Vectors, truncate
from models.progress import Evaluating, Report, silent

Labels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What :func:`evaluate_labels` measures.

    >>> EvaluationOptions(shots=(), linear=False)  # retrieval only, the fastest

    Attributes:
        interpolated: also measure halfway between neighbouring sizes.
        candidates: K of adaptive retrieval, at least 10.
        shots: rows per class in few-shot classification; empty to skip it.
        episodes: number of few-shot samples, at least 2.
        seed: seed of the samples.
        linear: fit linear probes, which take most of the time.
    """

    interpolated: bool = True
    candidates: int = 200
    shots: tuple[int, ...] = (1, 3, 5, 9)
    episodes: int = 100
    seed: int = 0
    linear: bool = True

    def __post_init__(self) -> None:
        check_at_least(self, candidates=DEPTH, episodes=2, seed=0)
        if any(count < 1 for count in self.shots):
            raise InvalidOptionError("shots", f"shots {list(self.shots)}: give positive numbers")


@dataclass(frozen=True, slots=True)
class SizeScore:
    """Quality at a prefix size.

    Attributes:
        size: dimensions used.
        interpolated: whether the size is not a trained size but lies halfway between two.
        linear: top-1 accuracy of a linear probe; None if skipped.
        retrieval: a single exact search: 1-NN top-1, mAP@10, precision@k, multiply-adds.
        few_shot: top-1 accuracy of the nearest class mean, by shots.
        classifier_multiply_adds: per query, of a linear or nearest-mean classifier: size · classes.
    """

    size: int
    interpolated: bool
    linear: float | None
    retrieval: RetrievalScore
    few_shot: dict[int, Interval]
    classifier_multiply_adds: int

    def to_json(self) -> dict[str, Any]:
        """A flat dictionary for JSON."""
        return {
            "size": self.size,
            "interpolated": self.interpolated,
            "linear": self.linear,
            "nearest": self.retrieval.top1,
            "map@10": self.retrieval.map,
            "precision": self.retrieval.precision,
            "few_shot": {shots: interval.to_json() for shots, interval in self.few_shot.items()},
            "multiply_adds": {"classifier": self.classifier_multiply_adds, "search": self.retrieval.multiply_adds},
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of :func:`evaluate_labels`.

    Attributes:
        train, test, classes: numbers of training rows, test rows and labels.
        sizes: scores by ascending size.
        retrieval: adaptive retrieval for every Ds < Dr of the trained sizes, and a funnel from each size.
        options: the options given.
        seconds: duration of each part.
    """

    train: int
    test: int
    classes: int
    sizes: list[SizeScore]
    retrieval: list[RetrievalScore]
    options: EvaluationOptions
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            "train": self.train,
            "test": self.test,
            "classes": self.classes,
            "sizes": [score.to_json() for score in self.sizes],
            "retrieval": [score.to_json() for score in self.retrieval],
            "options": asdict(self.options),
            "seconds": self.seconds,
        }


def between(sizes: Sequence[int]) -> list[int]:
    """Return the integers halfway between neighbouring sizes, as in the paper: 8, 16, 32 give 12, 24."""
    return [(low + high) // 2 for low, high in itertools.pairwise(sizes) if high - low > 1]


def evaluate_labels(
    train: Vectors,
    train_labels: Labels,
    test: Vectors,
    test_labels: Labels,
    sizes: Sequence[int],
    *,
    options: EvaluationOptions | None = None,
    report: Report = silent,
) -> Evaluation:
    """Evaluate a representation by labels: classifiers train on and searches run over the training rows.

    Every prefix is re-normalised. A test row whose label occurs in no training row counts as wrong everywhere.

    >>> encoder = load_encoder("runs/my-model")
    >>> evaluation = evaluate_labels(
    ...     encoder.encode_documents(texts), labels, encoder.encode_documents(test_texts), test_labels, (64, 128, 256)
    ... )
    >>> {score.size: score.retrieval.map for score in evaluation.sizes}  # mAP@10 by size

    Args:
        train, test: shapes (N, D) and (n, D).
        train_labels, test_labels: shapes (N,) and (n,), text or integers.
        sizes: the sizes the representation was trained for, strictly increasing, none above D.
        options: what to measure.
        report: receives an ``Evaluating`` event as each part starts.

    Raises:
        InvalidOptionError: shapes do not match, a number is not finite, the training rows have fewer than two labels,
            or sizes are not increasing.
    """
    options = options or EvaluationOptions()
    trained = Nesting(tuple(sizes)).sizes
    _check(train, train_labels, test, test_labels, trained[-1])
    every = sorted({*trained, *(between(trained) if options.interpolated else ())})
    classes = len(np.unique(train_labels))
    # Numbers in the labels' order: faster to compare than text, with the same tie-breaking.
    codes = np.unique(np.concatenate([train_labels, test_labels]), return_inverse=True)[1]
    train_labels, test_labels = codes[: len(train)], codes[len(train) :]
    seconds: dict[str, float] = {}

    def timed(part: str, measure: Callable[[], Any]) -> Any:
        report(Evaluating(what=part))
        started = time.perf_counter()
        result = measure()
        seconds[part] = time.perf_counter() - started
        return result

    singles = [RetrievalPlan((size,)) for size in every]
    plans = _coarse_to_fine(trained, options.candidates)
    retrieval: list[RetrievalScore] = timed(
        "retrieval", lambda: evaluate_retrieval(train, train_labels, test, test_labels, [*singles, *plans])
    )
    shots: dict[int, dict[int, Interval]] = {}
    if options.shots:
        shots = timed(
            "few-shot",
            lambda: few_shot(
                train,
                train_labels,
                test,
                test_labels,
                sizes=every,
                shots=options.shots,
                episodes=options.episodes,
                seed=options.seed,
            ),
        )
    linear: dict[int, float] = {}
    if options.linear:
        linear = timed(
            "linear probes",
            lambda: {
                size: linear_probe(truncate(train, size), train_labels, truncate(test, size), test_labels)
                for size in every
            },
        )
    return Evaluation(
        train=len(train),
        test=len(test),
        classes=classes,
        sizes=[
            SizeScore(size, size not in trained, linear.get(size), score, shots.get(size, {}), size * classes)
            for size, score in zip(every, retrieval, strict=False)
        ],
        retrieval=retrieval[len(singles) :],
        options=options,
        seconds=seconds,
    )


def _coarse_to_fine(trained: Sequence[int], candidates: int) -> list[RetrievalPlan]:
    pairs = itertools.combinations(trained, 2)
    adaptive = [RetrievalPlan((first, last), (candidates,)) for first, last in pairs]
    funnels = (RetrievalPlan.funnel(first, trained[-1]) for first in trained[:-1])
    # A funnel over two sizes is adaptive retrieval, which is measured already.
    return adaptive + [plan for plan in funnels if plan.kind == "funnel"]


def _check(train: Vectors, train_labels: Labels, test: Vectors, test_labels: Labels, dimension: int) -> None:
    for name, vectors, labels in (("training", train, train_labels), ("test", test, test_labels)):
        if vectors.ndim != 2 or vectors.shape[1] < dimension or labels.shape != vectors.shape[:1] or not len(vectors):
            raise InvalidOptionError(
                "vectors",
                f"{name} vectors of shape {vectors.shape} with labels of shape {labels.shape}: give at least one row "
                f"of {dimension} dimensions or more, and a label for each row",
            )
        if not np.isfinite(vectors).all():
            raise InvalidOptionError("vectors", f"{name} vectors contain NaN or infinity")
    if len(np.unique(train_labels)) < 2:
        raise InvalidOptionError("labels", f"the only training label is {train_labels[0]!r}: give at least 2 labels")
