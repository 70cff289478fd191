"""What every request gets, whatever route it takes: an id, security headers, a line in the access log, an answer."""

from __future__ import annotations

import logging
import math
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import envelope
from service.security.auth import cors
from service.settings import Settings
from service.telemetry.logs import REQUEST_ID
from service.telemetry.metrics import Metrics

logger = logging.getLogger("mrl.service")
access = logging.getLogger("mrl.access")

_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_NO_STORE: Final = (b"cache-control", b"no-store")
_PROBES: Final = ("/healthz", "/readyz")
_SHED: Final = frozenset({"/v1/search", "/v1/embeddings", "/v1/classify"})
_OVERLOADED: Final = (
    b'{"error":{"type":"service_error","code":"overloaded",'
    b'"message":"as many requests as allowed are being answered or wait; try again","param":null}}'
)
_RETRY_AFTER: Final = "mrl.retry_after"
_LONGEST_LOGGED_PATH: Final = 512


class Frame:
    """ASGI middleware around all others, in one layer because each costs every request some microseconds.

    - ``X-Request-Id`` is taken from the request where it is one, else made; it is in the answer and in every log line.
    - Security headers; answers under ``/v1`` are not stored by caches.
    - Requests to a host that is not among ``allowed_hosts``, where some are given, are answered 400; probes of an
      orchestrator come by address, so health is told to any.
    - An exception is logged and answered by the envelope.
    - A line in the access log, and a count in the metrics.
    - While there is no room for another search, those that come are refused here: a flood of them must not take the
      time of those that were admitted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, full: Callable[[], float | None]) -> None:
        self.app, self._metrics, self._full = app, metrics, full
        # What is refused here never reaches the application's own.
        origins = settings.cors_origins
        self._refuse = CORSMiddleware(_refuse, **cors(origins)) if origins else _refuse
        self._headers = (*_HEADERS, _HSTS) if settings.tls_certificate else _HEADERS
        self._hosts = settings.allowed_hosts
        self._access_log = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        host, request_id = b"", b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value
            elif name == b"host":
                host = value
        if not _ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex.encode()
        # Never reset: a request is a task of its own, and what the server logs of it afterwards has the id too.
        REQUEST_ID.set(request_id.decode())
        path: str = scope["path"]
        headers = [*self._headers, (b"x-request-id", request_id)]
        if path.startswith("/v1"):
            headers.append(_NO_STORE)
        status, sent = 0, 0

        async def framed(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            elif self._access_log:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            if self._hosts and path not in _PROBES and not self._allows(host):
                message = f"host {host.decode('latin-1')!r:.80} is not served here"
                await envelope(HTTPStatus.BAD_REQUEST, "unknown_host", message)(scope, receive, framed)
            elif path in _SHED and (retry_after := self._full()) is not None:
                self._metrics.refused("overloaded")
                scope[_RETRY_AFTER] = retry_after
                await self._refuse(scope, receive, framed)
            else:
                await self.app(scope, receive, framed)
        except Exception as error:
            logger.error("%s %s failed", scope["method"], path, exc_info=error)
            if status:  # too late for another answer: the server has to cut this one off
                raise
            message = "the service failed; its log says why"
            await envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)(scope, receive, framed)
        finally:
            seconds = time.perf_counter() - began
            # By its pattern: a client could fill the memory with paths of its own.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.request(scope["method"], route, status, seconds)
            if self._access_log:
                access.info(
                    "request",
                    extra={
                        "method": scope["method"],
                        "path": path[:_LONGEST_LOGGED_PATH],
                        "status": status,
                        "milliseconds": round(seconds * 1e3, 3),
                        "bytes": sent,
                        "key": scope.get("mrl.key"),
                    },
                )

    def _allows(self, host: bytes) -> bool:
        name = re.sub(r":\d*$", "", host.decode("latin-1")).lower()
        return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in self._hosts)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Do as the envelope would, in a fraction of the time."""
    retry_after: float = scope[_RETRY_AFTER]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_OVERLOADED)).encode()),
        (b"retry-after", str(math.ceil(retry_after)).encode()),
        (b"retry-after-ms", str(math.ceil(retry_after * 1e3)).encode()),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus.SERVICE_UNAVAILABLE.value, "headers": headers})
    await send({"type": "http.response.body", "body": _OVERLOADED})
