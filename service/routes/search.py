"""``POST /v1/search``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.engine.searcher import Asked, Searcher
from service.http.parsed_route import ParsedRoute
from service.routes.dependencies import deadline_of, engine_in, gone
from service.schemas.errors import ErrorAnswer
from service.schemas.search import SearchAnswer, SearchRequest

router = APIRouter(
    prefix="/v1",
    tags=["search"],
    route_class=ParsedRoute,
    responses={status: {"model": ErrorAnswer} for status in (400, 408, 413, 422, 503)},
)


@router.post("/search", response_model=SearchAnswer)
async def search(request: SearchRequest, http: Request) -> Response:
    """Find the documents nearest to a text, a vector or an image: shortlist by a prefix, then rank by the full vector.

    Requests that come while all threads are busy are searched together where their options are equal. The header
    `X-Timeout-Ms` sets a deadline.
    """
    engine = engine_in(http)
    traces = engine.traces
    asked = Asked.of(request, engine.settings, None if traces is None else traces.context())
    searcher = Searcher(engine.index, engine.settings, engine.metrics, traces)
    answer = await engine.reads.run_together(
        asked.group, searcher, asked, deadline=deadline_of(http), gone=lambda: gone(http)
    )
    return Response(answer, media_type="application/json")
