"""Nested (Matryoshka) embeddings: encoders, training, distillation, adapters, classifiers and their evaluation.

    >>> from models import load_encoder, truncate
    >>> encoder = load_encoder("wordllama")
    >>> vectors = encoder.encode_documents(["Matryoshka embeddings nest."])  # shape (1, 256), unit rows
    >>> short = truncate(vectors, 64)  # shape (1, 64), unit rows

Encoders, errors and nesting are imported at once. Everything else is imported when it is first used, because most of it
needs torch, which takes seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.encoders.base import Encoder, ImageEncoder, Prompts
from models.encoders.load import load_encoder
from models.errors import (
    AdaptiveRetrievalError,
    DataError,
    ImageError,
    InvalidOptionError,
    ModelError,
    OptionalDependencyError,
    TrainingError,
)
from models.nesting import Nesting, Vectors, truncate

if TYPE_CHECKING:
    from models.adapter.model import adapt_model
    from models.adapter.options import AdapterOptions
    from models.adapter.training import LearnedAdapter, learn_adapter
    from models.classifier.cascade import Cascade
    from models.classifier.classifier import Classification, Classifier, load_classifier
    from models.classifier.image_options import ImageTrainingOptions
    from models.classifier.images import save_image_classifier, train_images
    from models.classifier.text_data import ClassificationData
    from models.classifier.text_options import ClassificationOptions
    from models.classifier.texts import save_classifier, train_classifier
    from models.classifier.training import TrainedClassifier
    from models.data.images import read_image
    from models.data.labelled_images import LabelledImage, list_labelled_images, split_labelled_images
    from models.data.labelled_texts import LabelledText, read_labelled, split_labelled
    from models.data.pairs import Pair, read_pairs, split_pairs
    from models.distillation.distill import DistillationResult, distill
    from models.distillation.options import DistillationOptions
    from models.encoders.tokens import count_tokens, text_of_tokens
    from models.evaluation.labels import Evaluation, EvaluationOptions, evaluate_labels
    from models.evaluation.pairs import PairScore, evaluate_pairs, measure_pairs
    from models.evaluation.plots import plot_evaluations
    from models.evaluation.prefix_recall import prefix_recall
    from models.evaluation.retrieval import RetrievalPlan, evaluate_retrieval
    from models.training.contrastive import TrainingResult, train
    from models.training.options import TrainingOptions

_LAZY = {
    "AdapterOptions": "models.adapter.options",
    "Cascade": "models.classifier.cascade",
    "Classification": "models.classifier.classifier",
    "ClassificationData": "models.classifier.text_data",
    "ClassificationOptions": "models.classifier.text_options",
    "Classifier": "models.classifier.classifier",
    "DistillationOptions": "models.distillation.options",
    "DistillationResult": "models.distillation.distill",
    "Evaluation": "models.evaluation.labels",
    "EvaluationOptions": "models.evaluation.labels",
    "ImageTrainingOptions": "models.classifier.image_options",
    "LabelledImage": "models.data.labelled_images",
    "LabelledText": "models.data.labelled_texts",
    "LearnedAdapter": "models.adapter.training",
    "Pair": "models.data.pairs",
    "PairScore": "models.evaluation.pairs",
    "RetrievalPlan": "models.evaluation.retrieval",
    "TrainedClassifier": "models.classifier.training",
    "TrainingOptions": "models.training.options",
    "TrainingResult": "models.training.contrastive",
    "adapt_model": "models.adapter.model",
    "count_tokens": "models.encoders.tokens",
    "distill": "models.distillation.distill",
    "evaluate_labels": "models.evaluation.labels",
    "evaluate_pairs": "models.evaluation.pairs",
    "evaluate_retrieval": "models.evaluation.retrieval",
    "learn_adapter": "models.adapter.training",
    "list_labelled_images": "models.data.labelled_images",
    "load_classifier": "models.classifier.classifier",
    "measure_pairs": "models.evaluation.pairs",
    "plot_evaluations": "models.evaluation.plots",
    "prefix_recall": "models.evaluation.prefix_recall",
    "read_image": "models.data.images",
    "read_labelled": "models.data.labelled_texts",
    "read_pairs": "models.data.pairs",
    "save_classifier": "models.classifier.texts",
    "save_image_classifier": "models.classifier.images",
    "split_labelled": "models.data.labelled_texts",
    "split_labelled_images": "models.data.labelled_images",
    "split_pairs": "models.data.pairs",
    "text_of_tokens": "models.encoders.tokens",
    "train": "models.training.contrastive",
    "train_classifier": "models.classifier.texts",
    "train_images": "models.classifier.images",
}

__all__ = [
    "AdapterOptions",
    "AdaptiveRetrievalError",
    "Cascade",
    "Classification",
    "ClassificationData",
    "ClassificationOptions",
    "Classifier",
    "DataError",
    "DistillationOptions",
    "DistillationResult",
    "Encoder",
    "Evaluation",
    "EvaluationOptions",
    "ImageEncoder",
    "ImageError",
    "ImageTrainingOptions",
    "InvalidOptionError",
    "LabelledImage",
    "LabelledText",
    "LearnedAdapter",
    "ModelError",
    "Nesting",
    "OptionalDependencyError",
    "Pair",
    "PairScore",
    "Prompts",
    "RetrievalPlan",
    "TrainedClassifier",
    "TrainingError",
    "TrainingOptions",
    "TrainingResult",
    "Vectors",
    "adapt_model",
    "count_tokens",
    "distill",
    "evaluate_labels",
    "evaluate_pairs",
    "evaluate_retrieval",
    "learn_adapter",
    "list_labelled_images",
    "load_classifier",
    "load_encoder",
    "measure_pairs",
    "plot_evaluations",
    "prefix_recall",
    "read_image",
    "read_labelled",
    "read_pairs",
    "save_classifier",
    "save_image_classifier",
    "split_labelled",
    "split_labelled_images",
    "split_pairs",
    "text_of_tokens",
    "train",
    "train_classifier",
    "train_images",
    "truncate",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
