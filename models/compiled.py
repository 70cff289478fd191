"""How functions are compiled here (numba): without the GIL, with sums that may be vectorised, cached on disk."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call with new argument types; the result is cached on disk.

    Sums may be reordered, which lets the compiler vectorise them. Infinities and NaN keep their meaning, and a division
    by zero gives them. With ``NUMBA_DISABLE_JIT=1``, numba's switch for debugging, the function runs as plain Python
    with the same arithmetic.
    """
    if config.DISABLE_JIT:
        return _interpreted(function)
    options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    return cast(_Function, numba.njit(**options)(function))


def _interpreted(function: _Function) -> _Function:
    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):  # compiled integers wrap around, and divisions by zero do not warn
            return function(*arguments)

    return cast(_Function, run)
