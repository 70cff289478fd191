import pytest

from models import InvalidOptionError
from models.data.labelled_texts import LabelledText
from models.data.splits import SPLITS, check_enough, check_validation_share, given_parts


def test_items_go_to_the_part_they_name_and_otherwise_train():
    items = [LabelledText("a", "x"), LabelledText("b", "x", "test"), LabelledText("c", "x", "valid")]
    assert given_parts(items) == {"train": items[:1], "valid": items[2:], "test": items[1:2]}
    assert given_parts([]).keys() == set(SPLITS.values())


@pytest.mark.parametrize("share", [0, -0.1, 0.51, 1])
def test_a_validation_share_out_of_bounds_is_refused(share):
    with pytest.raises(InvalidOptionError, match=f"validation share {share}: give one above 0 and up to 0.5") as raised:
        check_validation_share(share)
    assert raised.value.param == "validation"


@pytest.mark.parametrize("share", [1e-6, 0.5])
def test_a_validation_share_within_bounds(share):
    check_validation_share(share)


def test_a_classifier_needs_20_items_and_2_labels():
    items = [LabelledText(f"t{i}", f"l{i % 2}") for i in range(20)]
    check_enough({"train": items}, "texts")
    for few, message in ((items[:19], "19 texts with 2 labels"), (items[::2] * 2, "20 texts with 1 labels")):
        with pytest.raises(InvalidOptionError, match=f"{message} to train on: give at least 20 of them and 2 labels"):
            check_enough({"train": few}, "texts")
