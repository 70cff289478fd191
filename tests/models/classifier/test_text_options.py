import pytest

from models import ClassificationOptions, InvalidOptionError, Nesting
from tests.models.classifier.labelled import options


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "full"}, "kind 'full': known are mrl, mrl-e, ff, slimmable"),
        ({"epochs": 0}, "epochs 0: give at least 1"),
        ({"learning_rate": 0.0}, "learning_rate 0.0: give a positive number"),
        ({"token_dropout": 1.0}, "token_dropout 1.0: give one from 0"),
        ({"width": 64}, r"width 64: the last of the nested sizes \[2, 8, 32\] must be the width"),
    ],
)
def test_options_out_of_bounds_are_refused(change, message):
    with pytest.raises(InvalidOptionError, match=message):
        options(**change)


def test_the_width_may_end_the_nesting():
    assert ClassificationOptions(width=64).nesting is None
    assert ClassificationOptions(width=64, nesting=Nesting((8, 64))).width == 64
    assert ClassificationOptions(kind="slimmable").kind == "slimmable"
