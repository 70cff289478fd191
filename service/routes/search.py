"""``POST /v1/search`` and ``GET /v1/index``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Response

from models.errors import InvalidOptionError
from models.nesting import Vectors
from service.dependencies import engine_of
from service.engine import Engine
from service.schemas.errors import ErrorAnswer
from service.schemas.index import IndexAnswer
from service.schemas.search import SearchAnswer, SearchRequest
from service.settings import Settings

router = APIRouter(
    prefix="/v1",
    tags=["search"],
    responses={status: {"model": ErrorAnswer} for status in (400, 413, 422, 503)},
)


@router.post("/search", response_model=SearchAnswer)
async def search(request: SearchRequest, engine: Annotated[Engine, Depends(engine_of)]) -> Response:
    """Find the documents nearest to a text or a vector: shortlist by a prefix, then rank by the full vector."""
    check_limits(request, engine.settings)
    index = engine.index

    def step() -> str:
        texts = [request.query] if request.query is not None else request.queries
        if texts is not None:
            found = index.search(texts, request.options)
        else:
            vectors = [request.vector] if request.vector is not None else request.vectors
            assert vectors is not None
            found = index.search_vectors(_matrix(vectors, index.dimension), request.options)
        # Written as JSON here too: a large answer would hold up the event loop for as long as its search took.
        return SearchAnswer.of(found, request).model_dump_json()

    return Response(await engine.run(step), media_type="application/json")


@router.get("/index")
async def index_facts(engine: Annotated[Engine, Depends(engine_of)]) -> IndexAnswer:
    """Tell what is served."""
    # On a thread: the intervals of the recall watch take some milliseconds to compute.
    return await asyncio.to_thread(IndexAnswer.of, engine.index)


def check_limits(request: SearchRequest, settings: Settings) -> None:
    """Refuse what would take too long.

    Raises:
        InvalidOptionError: a limit of the settings is passed; the message names it.
    """
    for name, value, most in (
        ("k", request.k, settings.max_k),
        ("candidates", request.candidates, settings.max_candidates),
        ("effort", request.effort, settings.max_effort),
    ):
        if value is not None and value > most:
            raise InvalidOptionError(name, f"{name} {value}: this service allows at most {most}")
    for name, many in (("queries", request.queries), ("vectors", request.vectors)):
        if many is not None and not 1 <= len(many) <= settings.max_queries:
            raise InvalidOptionError(name, f"{len(many)} {name}: this service allows 1 to {settings.max_queries}")
    for name, texts in (("query", [request.query or ""]), ("queries", request.queries or [])):
        longest = max(map(len, texts), default=0)
        if longest > settings.max_query_characters:
            raise InvalidOptionError(
                name, f"a {name} of {longest} characters: this service allows {settings.max_query_characters}"
            )


def _matrix(vectors: list[list[float]], dimension: int) -> Vectors:
    wrong = next((len(vector) for vector in vectors if len(vector) != dimension), None)
    if wrong is not None:
        raise InvalidOptionError("vector", f"a vector of {wrong} numbers: the index has {dimension} dimensions")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which the index refuses by name
        return np.array(vectors, dtype=np.float64).astype(np.float32)
