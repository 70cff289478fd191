"""Error responses: every error of the service has the envelope ``{"error": {"type", "code", "message", "param"}}``.

Exceptions of the service itself:

Exception
├── ServiceError              an error with its HTTP status
└── ClientDisconnectedError   nobody is left to answer

Exceptions of ``models`` and ``indexer`` are mapped to a status by their class.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from indexer import BundleBusyError, BundleError, BundleStorageError, ModelMismatchError, OutOfMemoryError
from models import AdaptiveRetrievalError, InvalidOptionError, ModelError

logger = logging.getLogger("mrl.service")

_CODES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}

_STATUS_BY_ERROR: Final[tuple[tuple[type[AdaptiveRetrievalError], tuple[HTTPStatus, str]], ...]] = (
    (ModelMismatchError, (HTTPStatus.CONFLICT, "model_mismatch")),
    (BundleBusyError, (HTTPStatus.SERVICE_UNAVAILABLE, "busy")),
    (BundleStorageError, (HTTPStatus.INSUFFICIENT_STORAGE, "storage_failed")),
    (BundleError, (HTTPStatus.SERVICE_UNAVAILABLE, "index_failed")),
    (OutOfMemoryError, (HTTPStatus.SERVICE_UNAVAILABLE, "out_of_memory")),
    (ModelError, (HTTPStatus.SERVICE_UNAVAILABLE, "model_failed")),
)
"""Status and code by class of error; the first match wins."""
_UNEXPECTED: Final = (HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")
_CLIENT_CLOSED_REQUEST: Final = 499


class ClientDisconnectedError(Exception):
    """The client closed the connection while its request was queued."""


class ServiceError(Exception):
    """An error with the HTTP status of its response.

    Attributes:
        status: HTTP status.
        code: machine-readable code for the envelope.
        message: for the envelope.
        retry_after: seconds after which to retry; None if a retry makes no sense.
        param: the invalid option, if any.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.param = retry_after, param


def envelope(status: int, code: str, message: str, param: str | None = None, **headers: str) -> JSONResponse:
    """Return an error response."""
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "service_error"
    # What a client sent may contain lone surrogates, which UTF-8 cannot encode.
    content = {
        "error": {"type": kind, "code": code, "message": _printable(message), "param": param and _printable(param)}
    }
    return JSONResponse(content, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def internal_error() -> JSONResponse:
    """Return the response to a request that failed because of a bug; it discloses nothing."""
    message = "internal error; the log of the service has the traceback"
    return envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)


def install_error_handlers(app: FastAPI) -> None:
    """Answer exceptions of routes with the envelope; :class:`service.http.frame.Frame` handles all others."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(ClientDisconnectedError, _client_disconnected)
    app.add_exception_handler(InvalidOptionError, _invalid_option)
    app.add_exception_handler(AdaptiveRetrievalError, _library_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(MemoryError, _out_of_memory)


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    headers = {}
    if error.retry_after is not None:
        # Retry-After has a resolution of a second; many clients also understand retry-after-ms.
        headers = {
            "Retry_After": str(math.ceil(error.retry_after)),
            "retry_after_ms": str(math.ceil(error.retry_after * 1e3)),
        }
    return envelope(error.status, error.code, _with_notes(error), error.param, **headers)


async def _client_disconnected(request: Request, error: Exception) -> Response:
    """Return nginx's status for a closed connection: nobody reads it, but the access log and the metrics have it."""
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


async def _invalid_option(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidOptionError)
    return envelope(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_option", _with_notes(error), error.param)


async def _library_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that is neither the client's fault nor a bug: of the model, the index or the disk."""
    status, code = next((answer for kind, answer in _STATUS_BY_ERROR if isinstance(error, kind)), _UNEXPECTED)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %s: %s", request.method, request.url.path, error)
    headers = {"Retry_After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return envelope(status, code, _with_notes(error), **headers)


async def _out_of_memory(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s: out of memory: %s", request.method, request.url.path, error)
    message = "not enough memory for this request: send a smaller one, or try again later"
    return envelope(HTTPStatus.SERVICE_UNAVAILABLE, "out_of_memory", message, Retry_After="1")


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    if problem["type"] == "json_invalid":
        reason = problem.get("ctx", {}).get("error", problem["msg"])
        return envelope(HTTPStatus.BAD_REQUEST, "invalid_json", f"the body is not JSON: {reason}")
    # The first part is "body" or "query", which is not an option name.
    path = [str(part) for part in problem["loc"][1:]]
    param = ".".join(path) or None
    message = f"{param or 'the body'}: {problem['msg']}{_given(problem)}"
    return envelope(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_option", message, param)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    code = _CODES.get(HTTPStatus(error.status_code), "http_error")
    message = f"{request.method} {request.url.path}: {error.detail}"
    return envelope(error.status_code, code, message, **headers)


def _methods(request: Request) -> list[str]:
    """Return all methods of a path; the framework itself reports those of one matching route only."""
    scopes = {method: {**request.scope, "method": method} for method in ("DELETE", "GET", "POST", "PUT")}
    routes = request.app.routes
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] == Match.FULL for route in routes)]


def _with_notes(error: Exception) -> str:
    """Return the message and the notes added to the exception."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _given(problem: Any) -> str:
    given = problem.get("input")
    return f" (given {given!a:.80})" if isinstance(given, str | int | float | bool) else ""
