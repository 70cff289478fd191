"""Bounds of options, checked where an options object is made."""

from __future__ import annotations

import math
from collections.abc import Iterable

from models.errors import InvalidOptionError
from models.nesting import Nesting


def check_at_least(options: object, **least: int) -> None:
    """Check that options named by keyword have at least their value.

    Raises:
        InvalidOptionError: one is smaller.
    """
    for name, bound in least.items():
        value = getattr(options, name)
        if value < bound:
            raise InvalidOptionError(name, f"{name} {value}: give at least {bound}")


def check_positive(options: object, names: Iterable[str]) -> None:
    """Check that options are positive and finite, or None.

    Raises:
        InvalidOptionError: one is not.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise InvalidOptionError(name, f"{name} {value}: give a positive number")


def check_width(width: int | None, nesting: Nesting | None) -> None:
    """Check that nested sizes end in the width that a model is to have.

    Raises:
        InvalidOptionError: both are given and they do not.
    """
    if width is not None and nesting is not None and nesting.dimension != width:
        raise InvalidOptionError(
            "width", f"width {width}: the last of the nested sizes {list(nesting.sizes)} must be the width"
        )
