"""``/healthz``: the process answers. ``/readyz``: it can answer searches."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from service.dependencies import engine_of
from service.engine import Engine
from service.schemas.errors import ErrorAnswer
from service.schemas.index import Health

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Health:
    """Answer as long as the process does; restart it when this fails."""
    return Health(status="alive")


@router.get("/readyz", responses={503: {"model": ErrorAnswer}})
async def ready(engine: Annotated[Engine, Depends(engine_of)]) -> Health:
    """Answer 200 when the index is open and warm, 503 before; send traffic only then."""
    _ = engine.index
    return Health(status="ready")
