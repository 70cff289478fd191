"""What routes are handed, and what they ask of a request."""

from __future__ import annotations

import time
from typing import Final

from fastapi import Request

from models.errors import InvalidOptionError
from service.engine.engine import Engine

DEADLINE_HEADER: Final = "X-Timeout-Ms"
_LONGEST_MILLISECONDS: Final = 3_600_000


def engine_in(request: Request) -> Engine:
    """Return the engine of the application."""
    engine: Engine = request.app.state.engine
    return engine


async def engine_of(request: Request) -> Engine:
    """Do as :func:`engine_in`, as a dependency: it would be run on a thread if it were not a coroutine."""
    return engine_in(request)


def deadline_of(request: Request) -> float | None:
    """Return when the client wants its answer, by ``time.monotonic()``; None where it does not say.

    Raises:
        InvalidOptionError: the header is not a number of milliseconds.
    """
    given = request.headers.get(DEADLINE_HEADER)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:10]) <= _LONGEST_MILLISECONDS):
        message = f"{DEADLINE_HEADER} {given!r:.40}: give whole milliseconds, 1 to {_LONGEST_MILLISECONDS}"
        raise InvalidOptionError(DEADLINE_HEADER, message)
    return time.monotonic() + int(given) / 1e3


async def requested_deadline(request: Request) -> float | None:
    """Do as :func:`deadline_of`, as a dependency: it would be run on a thread if it were not a coroutine."""
    return deadline_of(request)


async def gone(request: Request) -> None:
    """Return when the client has closed the connection. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
