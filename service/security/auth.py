"""Who may do what: the scope each route needs, and the middleware that asks for a key with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import envelope
from service.security.key_ring import KeyRing
from service.security.keys import Key, KeyScope

OPEN: Final = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""Paths that need no key."""
OPEN_FOLDERS: Final = ("/static/", "/swagger/")
"""What the page and the documentation are made of."""
SCOPES_OF_ROUTES: Final[dict[tuple[str, str], KeyScope]] = {
    ("POST", "/v1/search"): "read",
    ("POST", "/v1/embeddings"): "read",
    ("POST", "/v1/classify"): "read",
    ("GET", "/v1/models"): "read",
    ("GET", "/v1/index"): "read",
    ("GET", "/metrics"): "read",
    ("GET", "/v1/documents/{id}"): "read",
    ("PUT", "/v1/documents/{id}"): "write",
    ("DELETE", "/v1/documents/{id}"): "write",
    ("POST", "/v1/documents"): "write",
    ("POST", "/v1/documents/delete"): "write",
    ("POST", "/v1/index/reload"): "write",
    ("POST", "/v1/index/rollback"): "write",
    ("POST", "/v1/index/compact"): "write",
}
"""The scope each route needs; whatever is not here and not open needs ``write``."""

_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_DOCUMENT: Final = "/v1/documents/"


def needed_scope(method: str, path: str) -> KeyScope | None:
    """Return the scope that a request needs; None where it needs no key."""
    if path in OPEN or path.startswith(OPEN_FOLDERS):
        return None
    if path.startswith(_DOCUMENT):
        path = _DOCUMENT + "{id}"
    return SCOPES_OF_ROUTES.get((method, path), "write")


class Auth:
    """ASGI middleware: answers 401 without a valid key, and 403 where the key's scopes do not reach.

    The key's name is left in the ASGI scope as ``mrl.key``, for the access log.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing) -> None:
        self.app, self._ring = app, ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if it may."""
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            await (self.app if refusal is None else refusal)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:  # there are no other routes, and if there were, they would not be open by an oversight
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> Response | None:
        needed = needed_scope(scope["method"], scope["path"])
        if needed is None:
            return None
        presented = _presented(scope["headers"])
        if presented is None:
            return _unauthorized(
                "missing_key", "this needs an API key: Authorization: Bearer KEY, or X-API-Key: KEY", ""
            )
        key = self._ring.find(presented)
        if key is None:
            return _unauthorized("invalid_key", "the API key is not known here", ' error="invalid_token"')
        if key.expired:
            message = f"the API key {key.name!r} expired at {key.expires:%Y-%m-%dT%H:%M:%SZ}"
            return _unauthorized("expired_key", message, ' error="invalid_token"')
        scope["mrl.key"] = key.name
        return None if needed in key.scopes else _forbidden(key, needed, scope)


def _presented(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    found = None
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
        if name == b"x-api-key":
            found = value
    return found


def _unauthorized(code: str, message: str, detail: str) -> Response:
    return envelope(HTTPStatus.UNAUTHORIZED, code, message, WWW_Authenticate=f"Bearer{detail}")


def _forbidden(key: Key, needed: KeyScope, scope: Scope) -> Response:
    has = " and ".join(sorted(key.scopes))
    return envelope(
        HTTPStatus.FORBIDDEN,
        "insufficient_scope",
        f"{scope['method']} {scope['path']} needs an API key of scope {needed}; {key.name!r} has {has}",
        WWW_Authenticate=f'Bearer error="insufficient_scope", scope="{needed}"',
    )


def describe(app: FastAPI) -> None:
    """Tell in the application's OpenAPI document how to send a key, and which routes need none."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = _SECURITY_SCHEMES
        schema["security"] = [{name: []} for name in _SECURITY_SCHEMES]
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if needed_scope(method.upper(), path) is None:
                    operation["security"] = []
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def cors(origins: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of the CORS middleware.

    Keys come in a header that a page has to set, never in cookies, so browsers need not send credentials of their own.
    """
    return {
        "allow_origins": origins,
        "allow_credentials": False,
        "allow_methods": ["GET", "POST", "PUT", "DELETE"],
        "allow_headers": ["Authorization", "X-API-Key", "Content-Type", "X-Request-Id", "X-Timeout-Ms"],
        "expose_headers": ["X-Request-Id", "Retry-After", "retry-after-ms"],
    }
