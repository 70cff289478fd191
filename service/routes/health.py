"""``/healthz`` (liveness), ``/readyz`` (readiness) and ``/metrics``."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Response

from service.errors import ServiceError
from service.routes.dependencies import EngineOf
from service.schemas.errors import ErrorAnswer
from service.schemas.index import Health
from service.telemetry.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Health:
    """Liveness probe: answers as long as the process runs. If it fails, restart the process."""
    return Health(status="alive")


@router.get("/readyz", responses={503: {"model": ErrorAnswer}})
async def ready(engine: EngineOf) -> Health:
    """Readiness probe: 200 while the index is open and warm; 503 before that and while the service drains."""
    _ = engine.index
    if engine.draining:
        raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "draining", "the service is shutting down", retry_after=1)
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(engine: EngineOf) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(await asyncio.to_thread(engine.metrics.text), media_type=CONTENT_TYPE)
