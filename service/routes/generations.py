"""``/v1/index``: facts about the served index; reload, rollback and compaction."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter

from service.routes.dependencies import EngineOf
from service.schemas.compaction import CompactionFacts
from service.schemas.errors import ErrorAnswer
from service.schemas.index import IndexAnswer, Reloaded, RollbackRequest, RolledBack

router = APIRouter(prefix="/v1/index", tags=["index"], responses={503: {"model": ErrorAnswer}})


@router.get("")
async def index_facts(engine: EngineOf) -> IndexAnswer:
    """Return facts about the served index."""
    # On a thread: the confidence intervals of the recall watch take some milliseconds to compute.
    return await asyncio.to_thread(IndexAnswer.from_index, engine.index, engine.compaction.facts)


@router.post("/reload")
async def reload(engine: EngineOf) -> Reloaded:
    """Switch to the published generation now. The service also does so by itself, within `follow_seconds`."""
    changed = await engine.reload()
    return Reloaded(generation=engine.index.generation, changed=changed)


@router.post("/rollback", responses={409: {"model": ErrorAnswer}, 400: {"model": ErrorAnswer}})
async def rollback(engine: EngineOf, request: RollbackRequest | None = None) -> RolledBack:
    """Publish and serve an earlier generation. Updates are kept and apply to it as well."""
    before, now = await engine.rollback(None if request is None else request.to)
    return RolledBack(before=before, generation=now)


@router.post("/compact", status_code=HTTPStatus.ACCEPTED, responses={409: {"model": ErrorAnswer}})
async def compact(engine: EngineOf) -> CompactionFacts:
    """Start folding the updates into a new generation in the background; `GET /v1/index` reports the progress."""
    _ = engine.index
    return engine.compaction.start()
