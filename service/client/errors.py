"""Errors of the client.

ClientError
├── ApiError                    the service answered with an error
│   ├── InvalidRequestError         400, 413, 415, 422 …: the request is invalid
│   ├── AuthenticationError         401: no API key, or one that is unknown or has expired
│   ├── PermissionDeniedError       403: the API key lacks a scope
│   ├── NotFoundError               404: no such document or route
│   ├── ConflictError               409: not possible in the present state of the service
│   ├── OverloadedError             429, 503: overloaded, or not ready yet
│   ├── ServerError                 any other 5xx
│   └── ServiceDeadlineError        408: the service stopped at the deadline; also a DeadlineError
├── DeadlineError               no answer before the deadline; also a TimeoutError
├── NoConnectionError           also a ConnectionError
│   ├── NotConnectedError           no connection could be made: the service has not received the call
│   └── ConnectionLostError         the connection broke: the service may have executed the call
└── UnexpectedAnswerError       the answer is not one of this service
"""

from __future__ import annotations

from typing import Final


class ClientError(Exception):
    """Base class of all errors that a client raises."""


class ApiError(ClientError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        code: kind of error, for programs.
        message: explanation, for people.
        param: field of the request that is at fault, if any.
        request_id: id of the call in the service's log.
        retry_after: seconds after which the service accepts another attempt, if it says so.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}" + (f" (request {request_id})" if request_id else ""))
        self.status, self.code, self.message = status, code, message
        self.param, self.request_id, self.retry_after = param, request_id, retry_after


class InvalidRequestError(ApiError):
    """The request is invalid; ``param`` names the field at fault, if any."""


class AuthenticationError(ApiError):
    """No API key was sent, or one that is unknown or has expired."""


class PermissionDeniedError(ApiError):
    """The API key lacks the scope that the call needs."""


class NotFoundError(ApiError):
    """The document or the route does not exist."""


class ConflictError(ApiError):
    """The service cannot do this in its present state."""


class OverloadedError(ApiError):
    """The service was overloaded or not ready yet, at the last attempt too."""


class ServerError(ApiError):
    """The service, or a proxy in front of it, failed."""


class DeadlineError(ClientError, TimeoutError):
    """There was no answer before the deadline."""


class ServiceDeadlineError(ApiError, DeadlineError):
    """The service stopped the call at its deadline."""


class NoConnectionError(ClientError, ConnectionError):
    """The service could not be reached."""


class NotConnectedError(NoConnectionError):
    """No connection could be made: the service has not received the call."""


class ConnectionLostError(NoConnectionError):
    """The connection broke during the call: the service may have executed it."""


class UnexpectedAnswerError(ClientError):
    """The answer is not one of this service: another program, or another version, listens at the URL."""


_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServiceDeadlineError,
    409: ConflictError,
    429: OverloadedError,
    503: OverloadedError,
}


def error_class(status: int) -> type[ApiError]:
    """Return the class of the error that an HTTP status stands for."""
    return _BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)
