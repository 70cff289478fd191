"""Load shedding: searches that find the queue full get 503 before any other work is done for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.cors import cors_options
from service.telemetry.metrics import Metrics

_SHED: Final = frozenset({"/v1/search", "/v1/embeddings", "/v1/classify"})
_BODY: Final = (
    b'{"error":{"type":"service_error","code":"overloaded",'
    b'"message":"the service is at its limit of pending requests; try again","param":null}}'
)
_RETRY_AFTER: Final = "mrl.retry_after"


class LoadShedding:
    """Refuses searches at the outermost layer, so that a flood does not take time from the admitted ones."""

    def __init__(
        self, retry_after: Callable[[], float | None], metrics: Metrics, *, cors_origins: tuple[str, ...] = ()
    ) -> None:
        """Create the check.

        Args:
            retry_after: returns the seconds after which to retry; None if there is room for another request.
            metrics: counts refusals.
            cors_origins: origins whose pages may read the refusal; it does not pass the application's own CORS layer.
        """
        self._retry_after, self._metrics = retry_after, metrics
        self._refusal: ASGIApp = (
            CORSMiddleware(_overloaded, **cors_options(cors_origins)) if cors_origins else _overloaded
        )

    def retry_after(self, path: str) -> float | None:
        """Return the seconds after which to retry a request for ``path``; None if it may be admitted."""
        return self._retry_after() if path in _SHED else None

    async def refuse(self, retry_after: float, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503 with ``Retry-After``."""
        self._metrics.refused("overloaded")
        scope[_RETRY_AFTER] = retry_after
        await self._refusal(scope, receive, send)


async def _overloaded(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the same as :func:`service.errors.envelope` would, in a fraction of the time."""
    retry_after: float = scope[_RETRY_AFTER]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_BODY)).encode()),
        (b"retry-after", str(math.ceil(retry_after)).encode()),
        (b"retry-after-ms", str(math.ceil(retry_after * 1e3)).encode()),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus.SERVICE_UNAVAILABLE.value, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})
