"""The outermost middleware: everything that applies to each request, whatever its route."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import internal_error
from service.http import request_id
from service.http.access_log import log_access
from service.http.hosts import AllowedHosts
from service.http.security_headers import SecurityHeaders
from service.http.shedding import LoadShedding
from service.settings import Settings
from service.telemetry.metrics import Metrics

logger = logging.getLogger("mrl.service")


class Frame:
    """ASGI middleware around all others. A single layer, because each layer costs every request some microseconds.

    It combines :mod:`~service.http.request_id`, :mod:`~service.http.security_headers`,
    :mod:`~service.http.hosts`, :mod:`~service.http.shedding` and :mod:`~service.http.access_log`. An exception that no
    handler caught is logged and answered with the error envelope; every request is counted in the metrics.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, retry_after: Callable[[], float | None]
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            settings: of the service.
            metrics: counts requests.
            retry_after: see :class:`~service.http.shedding.LoadShedding`.
        """
        self.app, self._metrics = app, metrics
        self._security_headers = SecurityHeaders(tls=settings.tls_certificate is not None)
        self._hosts = AllowedHosts(settings.allowed_hosts) if settings.allowed_hosts else None
        self._shedding = LoadShedding(retry_after, metrics, cors_origins=settings.cors_origins)
        self._access_log = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        host, sent_id = b"", b""
        for name, value in scope["headers"]:
            if name == request_id.HEADER:
                sent_id = value
            elif name == b"host":
                host = value
        path: str = scope["path"]
        headers = (*self._security_headers.of(path), (request_id.HEADER, request_id.assign_request_id(sent_id)))
        status, size = 0, 0

        async def framed(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            elif self._access_log:
                size += len(message.get("body", b""))
            await send(message)

        try:
            if self._hosts is not None and not self._hosts.allows(host, path):
                await self._hosts.refusal(host)(scope, receive, framed)
            elif (retry_after := self._shedding.retry_after(path)) is not None:
                await self._shedding.refuse(retry_after, scope, receive, framed)
            else:
                await self.app(scope, receive, framed)
        except Exception as error:
            logger.error("%s %s failed", scope["method"], path, exc_info=error)
            if status:  # the response has begun, so the server has to abort the connection
                raise
            await internal_error()(scope, receive, framed)
        finally:
            seconds = time.perf_counter() - began
            # Labelled with the route's pattern: with paths, a client could fill the memory with labels of its choice.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.request(scope["method"], route, status, seconds)
            if self._access_log:
                log_access(scope, status=status, seconds=seconds, size=size)
