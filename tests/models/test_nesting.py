import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models import InvalidOptionError, Nesting, truncate

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
vectors = arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=7), elements=finite)


@given(vectors, st.data())
def test_truncate_gives_the_unit_prefix_computed_in_double_precision(values, data):
    size = data.draw(st.integers(1, values.shape[-1]))
    prefix = values[..., :size].astype(np.float64)
    norms = np.linalg.norm(prefix, axis=-1, keepdims=True)
    expected = np.divide(prefix, norms, out=np.zeros_like(prefix), where=norms > 0)
    np.testing.assert_allclose(truncate(values, size), expected, atol=2e-6)


def test_truncate_of_a_unit_vector_is_a_unit_vector_again():
    unit = truncate(np.random.default_rng(0).normal(size=(5, 64)), 64)
    cut = truncate(unit, 8)
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(unit[:, :8], axis=1).max() < 0.8, "a cut alone would not be"


def test_truncate_leaves_its_input_alone_and_returns_a_new_array():
    values = np.ones((2, 4), np.float32)
    cut = truncate(values, 4)
    cut[:] = 7
    assert (values == 1).all()


@pytest.mark.parametrize("size", [0, -1, 5])
def test_truncate_names_the_sizes_it_allows(size):
    with pytest.raises(InvalidOptionError, match=f"cannot truncate to {size} dimensions: allowed are 1 to 4"):
        truncate(np.ones((2, 4)), size)


@pytest.mark.parametrize(
    ("dimension", "sizes"),
    [(256, (8, 16, 32, 64, 128, 256)), (384, (12, 24, 48, 96, 192, 384)), (100, (25, 50, 100)), (7, (7,))],
)
def test_halving(dimension, sizes):
    assert Nesting.halving(dimension).sizes == sizes


def test_weights_are_one_each_where_not_given():
    assert Nesting((8, 16)).weights == (1.0, 1.0)


@pytest.mark.parametrize(
    ("sizes", "weights", "message"),
    [
        ((), (), "strictly increasing"),
        ((16, 8), (), "strictly increasing"),
        ((8, 8), (), "strictly increasing"),
        ((0, 8), (), "strictly increasing"),
        ((8, 16), (1.0,), "one positive number for each"),
        ((8, 16), (1.0, -1.0), "one positive number for each"),
        ((8, 16), (1.0, float("nan")), "one positive number for each"),
    ],
)
def test_impossible_nestings_are_refused(sizes, weights, message):
    with pytest.raises(InvalidOptionError, match=message):
        Nesting(sizes, weights)


def test_parse_and_json_round_trip():
    nesting = Nesting.parse("32,64", "2,1")
    assert nesting == Nesting((32, 64), (2.0, 1.0))
    assert Nesting.from_json(nesting.to_json()) == nesting


def test_parse_says_what_was_given():
    with pytest.raises(InvalidOptionError, match="sizes '32,x': give numbers separated by commas"):
        Nesting.parse("32,x")


@pytest.mark.parametrize(
    ("nesting", "size"), [(Nesting.halving(256), 128), (Nesting.halving(1024), 256), (Nesting((8, 16, 32)), 32)]
)
def test_shortlist_size(nesting, size):
    assert nesting.shortlist_size == size
