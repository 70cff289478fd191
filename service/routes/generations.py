"""``/v1/index``: what is served, and going over to another generation of it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from service.engine.compaction import CompactionFacts
from service.engine.engine import Engine
from service.routes.dependencies import engine_of
from service.schemas.errors import ErrorAnswer
from service.schemas.index import IndexAnswer, Reloaded, RollbackRequest, RolledBack

router = APIRouter(prefix="/v1/index", tags=["index"], responses={503: {"model": ErrorAnswer}})


@router.get("")
async def index_facts(engine: Annotated[Engine, Depends(engine_of)]) -> IndexAnswer:
    """Tell what is served."""
    # On a thread: the intervals of the recall watch take some milliseconds to compute.
    return await asyncio.to_thread(IndexAnswer.of, engine.index, engine.compaction.facts)


@router.post("/reload")
async def reload(engine: Annotated[Engine, Depends(engine_of)]) -> Reloaded:
    """Serve the generation that is published now. The service does so by itself too, within `follow_seconds`."""
    changed = await engine.reload()
    return Reloaded(generation=engine.index.generation, changed=changed)


@router.post("/rollback", responses={409: {"model": ErrorAnswer}, 400: {"model": ErrorAnswer}})
async def rollback(engine: Annotated[Engine, Depends(engine_of)], request: RollbackRequest | None = None) -> RolledBack:
    """Publish an earlier generation and serve it. Updates are kept: they apply to it as well."""
    before, now = await engine.rollback(None if request is None else request.to)
    return RolledBack(before=before, generation=now)


@router.post("/compact", status_code=HTTPStatus.ACCEPTED, responses={409: {"model": ErrorAnswer}})
async def compact(engine: Annotated[Engine, Depends(engine_of)]) -> CompactionFacts:
    """Begin to fold the updates into a new generation, in the background; `GET /v1/index` tells how it goes."""
    _ = engine.index
    return engine.compaction.start()
