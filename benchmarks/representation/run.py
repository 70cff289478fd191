"""A seed of the measurement: trains every model and measures it on the test part."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.representation.config import Settings
from models.classifier.cascade import Cascade, choose, choose_within, measure
from models.classifier.classifier import Classifier, LinearHeads
from models.classifier.text_data import ClassificationData
from models.classifier.text_options import ClassificationOptions
from models.classifier.texts import classifier_vectors, train_classifier
from models.classifier.training import accuracy, confidences
from models.evaluation.baselines import int8, low_rank_logits, one_bit, principal_components, probe, random_features
from models.evaluation.few_shot import few_shot
from models.evaluation.retrieval import RetrievalPlan, evaluate_retrieval
from models.nesting import Nesting, Vectors

Figures = dict[str, Any]
Predictions = dict[int, npt.NDArray[np.int64]]
"""Predicted label number of each test text, by size."""
Views = dict[str, npt.NDArray[np.bool_]]
"""Parts of the test texts that are measured separately."""


def measure_seed(data: ClassificationData, views: Views, settings: Settings, seed: int) -> Figures:
    """Train everything with one seed and measure it on every view; accuracies are shares, by method and size."""
    sizes, dimension = settings.nesting.sizes, settings.nesting.dimension
    trained = {kind: _train(data, settings, kind, settings.nesting, seed) for kind in ("mrl", "mrl-e", "slimmable")}
    fixed = {size: _train(data, settings, "ff", Nesting((size,)), seed) for size in sizes}
    validation = {kind: _validated(model, data) for kind, model in trained.items()}
    validation["ff"] = {size: _validated(model, data)[size] for size, model in fixed.items()}
    predictions = {
        kind: _predicted(model.heads, classifier_vectors(model, data.test)) for kind, model in trained.items()
    }
    predictions["ff"] = {
        size: _predicted(model.heads, classifier_vectors(model, data.test))[size] for size, model in fixed.items()
    }
    _note("baselines from FF-D")
    predictions |= shortened(data, fixed[dimension], settings.nesting, seed)
    predictions |= same_bytes(data, fixed, seed)
    targets = {"ff": validation["ff"][dimension], "mrl": validation["mrl"][dimension]}
    _note("adaptive classification, retrieval, few-shot")
    return {
        "seed": seed,
        "validation": validation,
        "views": {
            view: {
                "accuracy": {
                    method: {size: float((found == data.test_targets)[rows].mean()) for size, found in by_size.items()}
                    for method, by_size in predictions.items()
                },
                "adaptive": adaptive(trained["mrl"], data, rows, targets, settings.claimed_dims),
                **by_neighbours(trained["mrl"], data, rows, settings, seed),
            }
            for view, rows in views.items()
        },
    }


def shortened(data: ClassificationData, full: Classifier, nesting: Nesting, seed: int) -> dict[str, Predictions]:
    """Short vectors derived from FF-D: a linear probe on each, and the SVD of its classifier."""
    train, test = (classifier_vectors(full, part) for part in (data.train, data.test))
    maps = {
        "truncation": np.eye(nesting.dimension, dtype=np.float32),
        "random": random_features(nesting.dimension, seed),
        "pca": principal_components(train),
    }
    found = {name: _probed(train @ turn, test @ turn, data, nesting, seed) for name, turn in maps.items()}
    low = low_rank_logits(full.heads, test, nesting.sizes)
    return {**found, "svd": {size: logits.argmax(axis=1) for size, logits in low.items()}}


def same_bytes(data: ClassificationData, fixed: dict[int, Classifier], seed: int) -> dict[str, Predictions]:
    """Larger FF vectors in the bytes of m float32 numbers (int8 of FF-4m, one bit of FF-32m), linearly probed."""
    found: dict[str, Predictions] = {}
    for name, quantise, times in (("int8", int8, 4), ("one bit", one_bit, 32)):
        found[name] = {}
        for size in fixed:
            if (larger := fixed.get(size * times)) is not None:
                train, test = (quantise(classifier_vectors(larger, part)) for part in (data.train, data.test))
                found[name][size] = _probed(train, test, data, Nesting((size * times,)), seed)[size * times]
    return found


def adaptive(
    model: Classifier,
    data: ClassificationData,
    rows: npt.NDArray[np.bool_],
    targets: dict[str, float],
    dims: float,
) -> Figures:
    """Cascades with thresholds from the validation part, measured on the test part.

    Args:
        model: a classifier with its curve of cascades.
        data: only its test part is used.
        rows: rows of the test part.
        targets: validation accuracies to reach, by name; the cheapest cascade that does is used.
        dims: expected dimensions allowed; the most accurate cascade within them is reported as ``budget``.
    """
    items = confidences(model, classifier_vectors(model, data.test[rows]), data.test_targets[rows])

    def tested(cascade: Cascade) -> Figures:
        return {"validation": cascade.to_json(), "test": asdict(measure(cascade, *items))}

    return {
        "targets": targets,
        "chosen": {
            "budget": tested(choose_within(list(model.curve), dims)),
            **{name: tested(choose(list(model.curve), target)) for name, target in targets.items()},
        },
        "curve": [tested(cascade) for cascade in model.curve],
    }


def by_neighbours(
    model: Classifier, data: ClassificationData, rows: npt.NDArray[np.bool_], settings: Settings, seed: int
) -> Figures:
    """Single and adaptive retrieval over labels, and few-shot classification."""
    train, test = classifier_vectors(model, data.train), classifier_vectors(model, data.test[rows])
    labels = data.test_targets[rows]
    sizes, dimension = settings.nesting.sizes, settings.nesting.dimension
    plans = [RetrievalPlan((size,)) for size in sizes]
    plans += [RetrievalPlan((size, dimension), (settings.candidates,)) for size in sizes[:-1]]
    found = evaluate_retrieval(train, data.train_targets, test, labels, plans)
    shots = few_shot(
        train, data.train_targets, test, labels, sizes=sizes, shots=(1,), episodes=settings.episodes, seed=seed
    )
    return {
        "retrieval": [score.to_json() for score in found],
        "one_shot": {size: by_shots[1].mean for size, by_shots in shots.items()},
    }


def _train(data: ClassificationData, settings: Settings, kind: str, nesting: Nesting, seed: int) -> Classifier:
    started = time.perf_counter()
    options = ClassificationOptions(kind=kind, nesting=nesting, seed=seed, **settings.training)
    result = train_classifier(data, options)
    best = result.validation
    shown = "  ".join(f"{size}: {score:.3f}" for size, score in best.items())
    _note(f"seed {seed} {kind}: epoch {result.best_epoch}, {time.perf_counter() - started:.0f} s, validation {shown}")
    return result.classifier


def _validated(model: Classifier, data: ClassificationData) -> dict[int, float]:
    return accuracy(model, classifier_vectors(model, data.valid), data.valid_targets)


def _predicted(heads: LinearHeads, vectors: Vectors) -> Predictions:
    return {size: heads.logits(vectors, size).argmax(axis=1) for size in heads.sizes}


def _probed(train: Vectors, test: Vectors, data: ClassificationData, nesting: Nesting, seed: int) -> Predictions:
    return _predicted(probe(train, data.train_targets, len(data.labels), nesting, seed), test)


def _note(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
