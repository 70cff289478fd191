import pytest

from models import InvalidOptionError, Nesting
from models.classifier.options import ClassifierOptions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs 0: give at least 1"),
        ({"batch_size": 1}, "batch_size 1: give at least 2"),
        ({"patience": 0}, "patience 0: give at least 1"),
        ({"seed": -1}, "seed -1: give at least 0"),
        ({"learning_rate": 0.0}, "learning_rate 0.0: give a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate nan: give a positive number"),
        ({"max_seconds": float("inf")}, "max_seconds inf: give a positive number"),
        ({"kind": "ff", "nesting": Nesting((8, 16))}, r"sizes \[8, 16\]: kind 'ff' has a single size"),
    ],
)
def test_options_out_of_bounds_are_refused(change, message):
    with pytest.raises(InvalidOptionError, match=message) as raised:
        ClassifierOptions(**change)
    assert raised.value.param == ("sizes" if "nesting" in change else next(iter(change)))


def test_sizes_found_later_are_checked_by_kind():
    ClassifierOptions(kind="ff").check_sizes(Nesting((16,)))
    ClassifierOptions(kind="mrl").check_sizes(Nesting((8, 16)))
    with pytest.raises(InvalidOptionError, match="single size"):
        ClassifierOptions(kind="ff").check_sizes(Nesting((8, 16)))


def test_a_record_has_every_option_except_the_sizes():
    options = ClassifierOptions(nesting=Nesting((8, 16)), seed=3)
    assert options.record() == {
        "kind": "mrl", "epochs": 10, "batch_size": 64, "learning_rate": None, "patience": 3, "max_seconds": None,
        "seed": 3, "device": "auto",
    }  # fmt: skip
