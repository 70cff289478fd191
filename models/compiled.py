"""The one way functions are compiled here (numba): without the GIL, with sums that may be vectorised, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called with types it has not seen, once for each machine.

    Sums may be added in another order, which is what lets the compiler vectorise them; infinities and NaN keep their
    meaning, and division by zero gives them.
    """
    options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    return cast(_Function, numba.njit(**options)(function))
