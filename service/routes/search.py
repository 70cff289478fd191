"""``POST /v1/search``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.engine.parsed_search import ParsedSearch
from service.engine.searcher import Searcher
from service.http.parsed_route import ParsedRoute
from service.routes.dependencies import client_disconnected, deadline_of, engine_of
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
    """Find the documents nearest to a text, a vector or an image: shortlist by a prefix, rerank by the full vector.

    Requests that arrive while all threads are busy are searched as one batch if their options are equal. The header
    `X-Timeout-Ms` sets a deadline.
    """
    engine = engine_of(http)
    traces = engine.traces
    parsed = ParsedSearch.parse(request, engine.settings, None if traces is None else traces.context())
    searcher = Searcher(engine.index, engine.settings, engine.metrics, traces)
    answer = await engine.reads.run_together(
        parsed.group,
        searcher,
        parsed,
        deadline=deadline_of(http),
        client_disconnected=lambda: client_disconnected(http),
    )
    return Response(answer, media_type="application/json")
