"""What routes read from the application and from a request: the engine, the deadline, whether the client is there."""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import Depends, Request

from models import InvalidOptionError
from service.engine.engine import Engine

DEADLINE_HEADER: Final = "X-Timeout-Ms"
_MAX_MILLISECONDS: Final = 3_600_000


def engine_of(request: Request) -> Engine:
    """Return the engine of the application."""
    engine: Engine = request.app.state.engine
    return engine


def deadline_of(request: Request) -> float | None:
    """Return the client's deadline in terms of ``time.monotonic()``; None if it sets none.

    Raises:
        InvalidOptionError: the header is not a valid number of milliseconds.
    """
    value = request.headers.get(DEADLINE_HEADER)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:10]) <= _MAX_MILLISECONDS):
        message = f"{DEADLINE_HEADER} {value!r:.40}: give whole milliseconds from 1 to {_MAX_MILLISECONDS}"
        raise InvalidOptionError(DEADLINE_HEADER, message)
    return time.monotonic() + int(value) / 1e3


async def client_disconnected(request: Request) -> None:
    """Return when the client closes the connection. Call it only after the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


# As dependencies these are coroutines: the framework would run plain functions on a thread.
async def _engine(request: Request) -> Engine:
    return engine_of(request)


async def _deadline(request: Request) -> float | None:
    return deadline_of(request)


EngineOf = Annotated[Engine, Depends(_engine)]
"""Type of a route's parameter that receives the engine."""
Deadline = Annotated[float | None, Depends(_deadline)]
"""Type of a route's parameter that receives the client's deadline."""
