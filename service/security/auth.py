"""Authorisation: the scope each route requires, and the middleware that requires an API key with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import envelope
from service.security.key_ring import KeyRing
from service.security.keys import Key, KeyScope

OPEN_PATHS: Final = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""Paths that require no key."""
OPEN_PREFIXES: Final = ("/static/", "/swagger/")
"""Prefixes of paths that require no key: assets of the page and of the documentation."""
ROUTE_SCOPES: Final[dict[tuple[str, str], KeyScope]] = {
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
"""The scope each route requires. A route that is neither listed here nor open requires ``write``."""

_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_DOCUMENT: Final = "/v1/documents/"


def required_scope(method: str, path: str) -> KeyScope | None:
    """Return the scope that a request requires; None if it requires no key."""
    if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
        return None
    if path.startswith(_DOCUMENT):
        path = _DOCUMENT + "{id}"
    return ROUTE_SCOPES.get((method, path), "write")


class Auth:
    """ASGI middleware that answers 401 to requests without a valid key, and 403 if the key lacks the route's scope.

    It leaves the key's name in the ASGI scope as ``mrl.key``, for the access log.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing) -> None:
        self.app, self._ring = app, ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an authorised request on."""
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            await (self.app if refusal is None else refusal)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:  # there are no WebSocket routes; a future one must not be open by mistake
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> Response | None:
        required = required_scope(scope["method"], scope["path"])
        if required is None:
            return None
        secret = _secret_of(scope["headers"])
        if secret is None:
            return _unauthorized(
                "missing_key", "an API key is required: Authorization: Bearer KEY, or X-API-Key: KEY", ""
            )
        key = self._ring.find(secret)
        if key is None:
            return _unauthorized("invalid_key", "unknown API key", ' error="invalid_token"')
        if key.expired:
            message = f"the API key {key.name!r} expired at {key.expires:%Y-%m-%dT%H:%M:%SZ}"
            return _unauthorized("expired_key", message, ' error="invalid_token"')
        scope["mrl.key"] = key.name
        return None if required in key.scopes else _forbidden(key, required, scope)


def _secret_of(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    found = None
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
        if name == b"x-api-key":
            found = value
    return found


def _unauthorized(code: str, message: str, detail: str) -> Response:
    return envelope(HTTPStatus.UNAUTHORIZED, code, message, WWW_Authenticate=f"Bearer{detail}")


def _forbidden(key: Key, required: KeyScope, scope: Scope) -> Response:
    has = " and ".join(sorted(key.scopes))
    return envelope(
        HTTPStatus.FORBIDDEN,
        "insufficient_scope",
        f"{scope['method']} {scope['path']} requires an API key with scope {required}; {key.name!r} has {has}",
        WWW_Authenticate=f'Bearer error="insufficient_scope", scope="{required}"',
    )


def document_security(app: FastAPI) -> None:
    """Add to the application's OpenAPI document how to send a key, and which routes require none."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = _SECURITY_SCHEMES
        schema["security"] = [{name: []} for name in _SECURITY_SCHEMES]
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if required_scope(method.upper(), path) is None:
                    operation["security"] = []
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
