import subprocess
import sys

import pytest

import models

EXPORTED = [
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


def test_exported_names_are_pinned():
    assert models.__all__ == EXPORTED
    assert set(EXPORTED) <= set(dir(models))


@pytest.mark.parametrize("name", EXPORTED)
def test_each_exported_name_can_be_imported(name):
    assert getattr(models, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'models' has no attribute 'Trainer'"):
        models.Trainer  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import models",
        "from models import Classifier, LabelledText, TrainingOptions, load_encoder, read_image, read_pairs, truncate",
        "import models; models.load_encoder('wordllama').encode_documents(['a text'])",
    ],
)
def test_importing_the_package_does_not_import_torch(statement):
    check = "import sys; sys.exit(bool({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", f"{statement}\n{check}"], check=True)


def test_names_in_earlier_model_cards_still_work():
    from models.classifier import Classifier
    from models.classifier.classifier import Classifier as InItsModule
    from models.images import read_image

    assert Classifier is InItsModule is models.Classifier
    assert read_image is models.read_image
