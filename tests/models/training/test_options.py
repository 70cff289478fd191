import pytest

from models import InvalidOptionError, Nesting, TrainingOptions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs 0: give at least 1"),
        ({"batch_size": 1}, "batch_size 1: give at least 2"),
        ({"temperature": 0.0}, "temperature 0.0: give a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate nan: give a positive number"),
        ({"max_seconds": float("inf")}, "max_seconds inf: give a positive number"),
        ({"patience": 0}, "patience 0: give at least 1"),
        ({"precision": "float16"}, "precision 'float16': give one of auto, float32, bfloat16"),
        (
            {"nesting": Nesting((8, 32)), "width": 64},
            r"width 64: the last of the nested sizes \[8, 32\] must be the width",
        ),
        ({"chunk": 0}, "chunk 0: give a positive number"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        TrainingOptions(**changes)


def test_options_are_keyword_only_and_frozen():
    with pytest.raises(TypeError):
        TrainingOptions(Nesting((8, 32)))
    with pytest.raises(AttributeError):
        TrainingOptions().epochs = 3
