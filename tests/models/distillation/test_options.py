import pytest

from models import DistillationOptions, InvalidOptionError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps 0: give at least 1"),
        ({"max_seconds": -1.0}, "max_seconds -1.0: give a positive number"),
        ({"contrast": -0.1}, "contrast -0.1: give 0 or a positive number"),
        ({"precision": "float16"}, "precision 'float16': give one of auto, float32, bfloat16"),
        ({"ranking": -1.0}, "ranking -1.0: give 0 or a positive number"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        DistillationOptions(**changes)
