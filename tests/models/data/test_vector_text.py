import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.data.vector_text import decode_vector, encode_vector, numbers, read_vector


@given(arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32)))
def test_base64_gives_back_every_vector(vector):
    text = encode_vector(vector)
    np.testing.assert_array_equal(decode_vector(text), vector)
    np.testing.assert_array_equal(read_vector(text), vector)


def test_base64_is_little_endian():
    assert base64.b64decode(encode_vector(np.array([1.0], ">f4"))) == b"\x00\x00\x80\x3f"


@pytest.mark.parametrize("values", [[1, 2.5], (0.0,), [1e-50]])
def test_lists_of_numbers_become_float32(values):
    vector = read_vector(values)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, np.array(values, np.float32))


def test_numbers_beyond_float32_become_infinite():
    assert numbers([1e300, -1e300, 1.0]).tolist() == [np.inf, -np.inf, 1.0]
    assert numbers([10**400, 1]).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"vector \[\]: give numbers, or base64"),
        (3, "vector 3: give numbers, or base64"),
        (None, "vector None: give numbers"),
        ([1, True], "vector holds True, which is not a number"),
        ([1, "2"], "vector holds '2', which is not a number"),
        ("!", "vector is not base64"),
        ("é", "vector is not base64"),
        ("", "vector has 0 bytes in base64: 4 are needed"),
        ("AAAAAAA=", "vector has 5 bytes in base64: 4 are needed for each float32 number"),
    ],
)
def test_what_is_no_vector_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        read_vector(value)
