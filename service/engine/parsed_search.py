"""Checks a search request against the service's limits, and decides which requests may share one search."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

from indexer import SearchOptions
from models import InvalidOptionError
from service.schemas.search import SearchRequest
from service.settings import Settings

QUERY_KINDS: Final = {
    "query": "texts",
    "queries": "texts",
    "vector": "vectors",
    "vectors": "vectors",
    "image": "images",
    "images": "images",
}
"""Fields of a request that hold queries, and the kind of query each holds."""


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """A checked search request.

    Attributes:
        request: as it was sent.
        options: for the index.
        field: the field that holds the queries, one of :data:`QUERY_KINDS`.
        context: parent of the request's trace spans; None if traces are off.
    """

    request: SearchRequest
    options: SearchOptions
    field: str
    context: Any = None

    @classmethod
    def parse(cls, request: SearchRequest, settings: Settings, context: Any = None) -> ParsedSearch:
        """Check a request.

        Raises:
            InvalidOptionError: the request exceeds a limit of the settings, or an option is invalid.
        """
        check_limits(request, settings)
        options, _ = request.options, request.included
        field = next(name for name in QUERY_KINDS if getattr(request, name) is not None)
        return cls(request, options, field, context)

    @property
    def kind(self) -> str:
        """The kind of the queries: ``texts``, ``vectors`` or ``images``."""
        return QUERY_KINDS[self.field]

    @property
    def group(self) -> Hashable | None:
        """Equal for requests that may share a search; None if this one is to be searched alone."""
        if self.request.explain:
            return None  # the reported times are to be those of this request
        group = (self.kind, self.options)
        try:
            hash(group)
        except TypeError:
            return None
        return group


def check_limits(request: SearchRequest, settings: Settings) -> None:
    """Refuse a request that would take too long.

    Raises:
        InvalidOptionError: a limit of the settings is exceeded; the message gives the limit.
    """
    hybrid, second_look = request.hybrid, request.second_look
    for name, what, value, maximum in (
        ("k", "k", request.k, settings.max_k),
        ("offset", "k + offset", request.k + request.offset, settings.max_k),
        ("candidates", "candidates", request.candidates, settings.max_candidates),
        ("effort", "effort", request.effort, settings.max_effort),
        (
            "second_look",
            "effort of the second look",
            None if second_look is None else second_look.effort,
            settings.max_effort,
        ),
        ("hybrid", "hybrid candidates", None if hybrid is None else hybrid.candidates, settings.max_candidates),
    ):
        if value is not None and value > maximum:
            raise InvalidOptionError(name, f"{what} {value}: this service allows at most {maximum}")
    for name, many, maximum in (
        ("queries", request.queries, settings.max_queries),
        ("vectors", request.vectors, settings.max_queries),
        ("images", request.images, settings.max_images),
    ):
        if many is not None and not 1 <= len(many) <= maximum:
            raise InvalidOptionError(name, f"{len(many)} {name}: this service allows 1 to {maximum}")
    for name, texts in (("query", [request.query or ""]), ("queries", request.queries or [])):
        longest = max(map(len, texts), default=0)
        if longest > settings.max_query_characters:
            raise InvalidOptionError(
                name, f"a {name} of {longest} characters: this service allows {settings.max_query_characters}"
            )
