"""A single value where several belong: Python iterates over its letters or keys, so it must be refused."""

from __future__ import annotations

from collections.abc import Mapping


def check_list(values: object, what: str) -> None:
    """Refuse a single text, image or row where several are expected: its letters or keys would be sent.

    Raises:
        ValueError: ``values`` is a str, bytes or a mapping.
    """
    if isinstance(values, str | bytes | Mapping):
        raise ValueError(f"{what} given as a single {type(values).__name__}: pass a list, even for one item")
