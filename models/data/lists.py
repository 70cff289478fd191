"""A single text where a list of texts belongs: Python iterates over its letters, so it must be refused by name."""

from __future__ import annotations

from pathlib import PurePath

from models.errors import InvalidOptionError


def check_list(values: object, what: str, param: str) -> None:
    """Refuse a single text, path or image where a list of them is expected.

    Args:
        values: the argument to check.
        what: names it in the message.
        param: the option it was given in.

    Raises:
        InvalidOptionError: ``values`` is a str, bytes or a path.
    """
    if isinstance(values, str | bytes | PurePath):
        shown = f"{len(values)} bytes" if isinstance(values, bytes) else f"{values!r:.80}"
        raise InvalidOptionError(param, f"{what} given as a single value ({shown}): pass a list, even for one item")
