"""``/healthz``: the process answers. ``/readyz``: it can answer searches. ``/metrics``: what it has done."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from service.engine.engine import Engine
from service.errors import ServiceError
from service.routes.dependencies import engine_of
from service.schemas.errors import ErrorAnswer
from service.schemas.index import Health
from service.telemetry.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Health:
    """Answer as long as the process does; restart it when this fails."""
    return Health(status="alive")


@router.get("/readyz", responses={503: {"model": ErrorAnswer}})
async def ready(engine: Annotated[Engine, Depends(engine_of)]) -> Health:
    """Answer 200 while the index is open and warm, 503 before and while the service drains; send traffic only then."""
    _ = engine.index
    if engine.draining:
        raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "draining", "the service is about to stop", retry_after=1)
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(engine: Annotated[Engine, Depends(engine_of)]) -> Response:
    """Tell what the service has done, in Prometheus' text format."""
    return Response(await asyncio.to_thread(engine.metrics.text), media_type=CONTENT_TYPE)
