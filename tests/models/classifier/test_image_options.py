import pytest

from models import ImageTrainingOptions, InvalidOptionError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "slimmable"}, "kind 'slimmable': known for images are mrl, mrl-e, ff"),
        ({"kind": "ff"}, "kind 'ff' has a single size"),
        ({"epochs": 0}, "epochs 0: give at least 1"),
        ({"learning_rate": -1.0}, r"learning_rate -1.0: give a positive number"),
        ({"weight_decay": -1.0}, r"weight_decay -1.0: give 0 or more"),
        ({"side": 4}, "side 4: give 8 to 1024 pixels"),
    ],
)
def test_options_out_of_bounds_are_refused(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        ImageTrainingOptions(**options)


def test_options_within_bounds():
    assert ImageTrainingOptions().nesting.sizes == (8, 16, 32, 64, 128)
    assert ImageTrainingOptions(side=1024, weight_decay=0.0).side == 1024
