"""Vectors in text: lists of numbers, or base64 of little-endian float32."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.nesting import Vectors

_LITTLE = np.dtype("<f4")


def read_vector(value: Any, what: str = "vector") -> Vectors:
    """Read a vector; numbers too large for float32 become infinite.

    Args:
        value: a list of numbers, or base64 of float32 numbers.
        what: the vector's name in messages.

    Returns:
        float32, shape (n,), n ≥ 1.

    Raises:
        ValueError: the value is neither, or empty.
    """
    if isinstance(value, str):
        return decode_vector(value, what)
    if not isinstance(value, Sequence) or not value:
        raise ValueError(f"{what} {value!a:.80}: give numbers, or base64 of float32 numbers")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"{what} holds {number!a:.80}, which is not a number")
    return numbers(value)


def numbers(values: Sequence[float]) -> Vectors:
    """Convert numbers to float32; numbers too large for float32 become infinite."""
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=np.float64).astype(np.float32)
    except OverflowError:  # an integer beyond float64
        return np.full(len(values), np.inf, np.float32)


def decode_vector(text: str, what: str = "vector") -> Vectors:
    """Read base64 of little-endian float32 numbers.

    Returns:
        float32, shape (n,), n ≥ 1.

    Raises:
        ValueError: the text is not base64, is empty, or is not a multiple of 4 bytes.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{what} is not base64: {error}") from None
    if not raw or len(raw) % _LITTLE.itemsize:
        raise ValueError(f"{what} has {len(raw)} bytes in base64: 4 are needed for each float32 number")
    return np.frombuffer(raw, _LITTLE).astype(np.float32)


def encode_vector(vector: Vectors) -> str:
    """Write a vector, shape (n,), as base64 of little-endian float32 numbers."""
    return base64.b64encode(np.ascontiguousarray(vector, _LITTLE).tobytes()).decode("ascii")
