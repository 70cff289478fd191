import numpy as np
import pytest

from models import InvalidOptionError, LabelledText
from models.classifier.text_data import ClassificationData
from models.data.labelled_texts import split_labelled
from tests.conftest import make_encoder
from tests.models.classifier.labelled import make_items


def test_only_static_tables_are_trained():
    class Other:
        name = "other"

    with pytest.raises(InvalidOptionError, match="base 'other' is not a static encoder"):
        ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), Other())


def test_tokens_are_counted_and_labels_numbered():
    parts = {
        "train": [LabelledText("w1 w1 w2", "b"), LabelledText("w3", "a")],
        "valid": [LabelledText("w2", "a")],
        "test": [LabelledText("w1", "unknown")],
    }
    data = ClassificationData.prepare(parts, make_encoder())
    assert data.labels == ("a", "b")
    assert [data.train_targets.tolist(), data.valid_targets.tolist(), data.test_targets.tolist()] == [[1, 0], [0], [-1]]
    np.testing.assert_array_equal(data.train.toarray()[:, 1:4], [[2, 1, 0], [0, 0, 1]])
    assert data.train.nnz == 3, "a repeated token is counted once"
    assert data.counts() == {"training": 2, "validation": 1}
