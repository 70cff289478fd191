"""The signature shown by ``help()`` and editors for a method generated from a function of ``service.client.calls``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

_MethodT = TypeVar("_MethodT", bound=Callable[..., Any])


def with_signature(method: _MethodT, make: Callable[..., Any]) -> _MethodT:
    """Give ``method`` the signature of ``make``, with ``self`` in front and the answer in place of the call."""
    of_call = inspect.signature(make)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    answer = str(of_call.return_annotation).removeprefix("Call[").removesuffix("]")
    shown = of_call.replace(parameters=[itself, *of_call.parameters.values()], return_annotation=answer)
    method.__signature__ = shown  # type: ignore[attr-defined]
    return method
