"""What can go wrong in a call.

ClientError
├── ApiError                    the service answered with an error
│   ├── InvalidRequestError         400, 413, 415, 422 …: the request cannot be answered as it is
│   ├── AuthenticationError         401: no API key, or one that is unknown or has expired
│   ├── PermissionDeniedError       403: the key's scopes do not reach
│   ├── NotFoundError               404: no such document, or no such route
│   ├── ConflictError               409: something else is going on
│   ├── OverloadedError             429, 503: full, or not ready yet
│   ├── ServerError                 any other 5xx
│   └── ServiceDeadlineError        408: the service stopped at the deadline; also a DeadlineError
├── DeadlineError               no answer in time; also a TimeoutError
├── NoConnectionError           also a ConnectionError
│   ├── NotConnectedError            no connection could be made: the service has not seen the call
│   └── ConnectionLostError         the connection broke: the service may have done what it was asked
└── UnexpectedAnswerError       the answer is not one of this service
"""

from __future__ import annotations

from typing import Final


class ClientError(Exception):
    """Base of every error that a client raises on purpose."""


class ApiError(ClientError):
    """The service answered with an error.

    Attributes:
        status: the HTTP status.
        code: what went wrong, for programs.
        message: the same, for people.
        param: the field of the request at fault, where there is one.
        request_id: what the service's log knows the call by.
        retry_after: seconds after which the service wants to be asked again, where it says.
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
    """The request cannot be answered as it is; ``param`` names the field where there is one."""


class AuthenticationError(ApiError):
    """No API key was sent, or one that is unknown or has expired."""


class PermissionDeniedError(ApiError):
    """The API key does not have the scope that the call needs."""


class NotFoundError(ApiError):
    """There is no such document, or no such route."""


class ConflictError(ApiError):
    """The service cannot do this beside what it does now."""


class OverloadedError(ApiError):
    """The service is full or not ready yet, and still was at the last attempt."""


class ServerError(ApiError):
    """The service, or something between it and here, failed."""


class DeadlineError(ClientError, TimeoutError):
    """There was no answer in time."""


class ServiceDeadlineError(ApiError, DeadlineError):
    """The service gave up the call at its deadline."""


class NoConnectionError(ClientError, ConnectionError):
    """The service could not be talked to."""


class NotConnectedError(NoConnectionError):
    """No connection could be made, so the service has not seen the call."""


class ConnectionLostError(NoConnectionError):
    """The connection broke during the call: the service may have done what it was asked."""


class UnexpectedAnswerError(ClientError):
    """The answer is not one of this service: another program listens there, or one of another version."""


_KINDS: Final[dict[int, type[ApiError]]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServiceDeadlineError,
    409: ConflictError,
    429: OverloadedError,
    503: OverloadedError,
}


def kind_of(status: int) -> type[ApiError]:
    """Return the class of an error answer."""
    return _KINDS.get(status, ServerError if status >= 500 else InvalidRequestError)
