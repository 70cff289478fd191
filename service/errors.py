"""One envelope for every error that leaves the service: ``{"error": {"type", "code", "message", "param"}}``."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from models.errors import InvalidOptionError

logger = logging.getLogger("mrl.service")

_CODES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}


class ServiceError(Exception):
    """An error with the HTTP status it is answered with.

    Attributes:
        status, code, message: for the envelope.
        retry_after: seconds after which trying again makes sense.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after


def envelope(status: int, code: str, message: str, param: str | None = None, **headers: str) -> JSONResponse:
    """Make an error answer."""
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "service_error"
    # What a client sent may hold lone surrogates, which UTF-8 cannot carry back.
    content = {
        "error": {"type": kind, "code": code, "message": _printable(message), "param": param and _printable(param)}
    }
    return JSONResponse(content, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def install(app: FastAPI) -> None:
    """Answer every exception of the routes by the envelope."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(InvalidOptionError, _invalid_option)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    headers = {} if error.retry_after is None else {"Retry_After": str(error.retry_after)}
    return envelope(error.status, error.code, error.message, **headers)


async def _invalid_option(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidOptionError)
    return envelope(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_option", str(error), error.param)


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    if problem["type"] == "json_invalid":
        reason = problem.get("ctx", {}).get("error", problem["msg"])
        return envelope(HTTPStatus.BAD_REQUEST, "invalid_json", f"the body is not JSON: {reason}")
    # The first part says "body" or "query"; a union's branches name types, which no client knows.
    path = [str(part) for part in problem["loc"][1:]]
    param = ".".join(path) or None
    message = f"{param or 'the body'}: {problem['msg']}{_given(problem)}"
    return envelope(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_option", message, param)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(HTTPStatus(error.status_code), "http_error")
    message = f"{request.method} {request.url.path}: {error.detail}"
    return envelope(error.status_code, code, message, **dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "the service failed; its log says why")


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _given(problem: Any) -> str:
    given = problem.get("input")
    return f" (given {given!a:.80})" if isinstance(given, str | int | float | bool) else ""
