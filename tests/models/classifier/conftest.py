import pytest

from models.classifier.text_data import ClassificationData
from models.classifier.texts import save_classifier, train_classifier
from models.data.labelled_texts import split_labelled
from tests.conftest import make_encoder
from tests.models.classifier.labelled import make_items, options


@pytest.fixture(scope="session")
def data():
    return ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), make_encoder())


@pytest.fixture(scope="session")
def events():
    return []


@pytest.fixture(scope="session")
def trained(data, events):
    return train_classifier(data, options(), report=events.append)


@pytest.fixture(scope="session")
def directory(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "model"
    save_classifier(trained, path, options(), "tiny")
    return path
