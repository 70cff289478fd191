import pytest

from models import AdapterOptions, InvalidOptionError


@pytest.mark.parametrize(
    ("sizes", "dimension", "expected"),
    [
        (None, 384, (16, 32, 64, 128, 256, 384)),
        (None, 16, (8, 16)),
        ((32, 64), 384, (32, 64, 384)),
        ((32, 384), 384, (32, 384)),
    ],
)
def test_sizes(sizes, dimension, expected):
    assert AdapterOptions(sizes=sizes).nesting(dimension).sizes == expected


@pytest.mark.parametrize("sizes", [(384,), (512,), (64, 500)])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(InvalidOptionError, match="give sizes below the 384 dimensions"):
        AdapterOptions(sizes=sizes).nesting(384)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 1},
        {"max_seconds": 0.0},
        {"temperature": float("nan")},
        {"validation": 0.0},
        {"seed": -1},
    ],
)
def test_options_out_of_bounds_are_refused(wrong):
    with pytest.raises(InvalidOptionError, match="give"):
        AdapterOptions(**wrong)
