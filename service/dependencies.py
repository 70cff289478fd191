"""What routes are handed."""

from __future__ import annotations

from fastapi import Request

from service.engine import Engine


async def engine_of(request: Request) -> Engine:
    """Return the engine of the application."""
    engine: Engine = request.app.state.engine
    return engine
