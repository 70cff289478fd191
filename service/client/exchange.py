"""A call from its first attempt to its answer: deadlines, retries and errors. Nothing here opens a connection."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx

from service.client.calls import Call
from service.client.errors import (
    ApiError,
    ClientError,
    ConnectionLostError,
    DeadlineError,
    NoConnectionError,
    NotConnectedError,
    OverloadedError,
    error_class,
)

_T = TypeVar("_T")
_RETRIED = frozenset({429, 502, 503, 504})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
NOT_READY = (NoConnectionError, OverloadedError, TimeoutError)
"""Errors that mean that the service cannot answer searches yet."""


@dataclass(frozen=True, slots=True)
class Retries:
    """When a call is retried: after a lost connection, and after 429, 502, 503 and 504.

    Usage::

        Client("http://localhost:8000", retries=Retries(attempts=2))
        Client("http://localhost:8000", retries=Retries(attempts=1))  # never retry

    A call that is not idempotent is retried only if no connection was made. Writes of documents are idempotent, because
    an id names one document. The pause is what the service asks for (``retry-after-ms``, ``Retry-After``) plus a random
    part; otherwise a random part of an interval that doubles (exponential backoff with full jitter), so that clients
    rejected together do not return together. No pause exceeds the call's deadline.

    Attributes:
        attempts: maximum number of attempts, the first included; 1 disables retries.
        first_seconds: backoff interval after the first attempt.
        longest_seconds: upper bound of the interval.
    """

    attempts: int = 4
    first_seconds: float = 0.1
    longest_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts {self.attempts}: give at least 1, which disables retries")
        if not 0 < self.first_seconds <= self.longest_seconds:
            raise ValueError(
                f"first_seconds {self.first_seconds}, longest_seconds {self.longest_seconds}: "
                "give positive numbers, first_seconds not larger than longest_seconds"
            )

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after attempt 1, 2, …; ``asked`` is the pause the service asked for, if any."""
        if asked is not None:
            return asked + random.uniform(0, self.first_seconds)  # noqa: S311  jitter, not a secret
        doubled = self.first_seconds * 2.0 ** min(attempt - 1, 64)  # more doublings would overflow
        return random.uniform(0, min(self.longest_seconds, doubled))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Target:
    """The service that calls go to.

    Attributes:
        url: address of the service, without a trailing slash.
        api_key: sent with each call, unless None.
        timeout: seconds for a call with all its attempts.
        retries: when a call is retried.
    """

    url: str
    api_key: str | None
    timeout: float
    retries: Retries

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url {self.url!r}: give an HTTP URL, such as http://localhost:8000")
        if not self.timeout > 0:
            raise ValueError(f"timeout {self.timeout}: give a positive number of seconds")
        object.__setattr__(self, "url", self.url.rstrip("/"))


class Exchange(Generic[_T]):
    """The attempts of one call. The client sends what :meth:`request` returns until :meth:`answered` returns True.

    Attributes:
        pause: seconds to wait before the next attempt.
    """

    def __init__(self, target: Target, call: Call[_T]) -> None:
        self._target, self._call = target, call
        self._timeout = target.timeout if call.timeout is None else call.timeout
        self._deadline = time.monotonic() + self._timeout
        self._attempt = 0
        self.pause = 0.0

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Build the request of the next attempt; a header gives the service the time that is left.

        Raises:
            DeadlineError: no time is left.
        """
        self._attempt += 1
        left = self._left()
        if left <= 0:
            raise self._deadline_error()
        headers = {"X-Timeout-Ms": str(max(1, int(left * 1000)))}
        if self._target.api_key is not None:
            headers["Authorization"] = f"Bearer {self._target.api_key}"
        if self._call.body is not None:
            headers["Content-Type"] = self._call.content_type
        return http.build_request(
            self._call.method,
            self._target.url + self._call.path,
            content=self._call.body,
            headers=headers,
            timeout=left,
        )

    def answered(self, response: httpx.Response) -> bool:
        """Return whether the response is the answer, which :meth:`result` reads; if not, try again.

        Raises:
            ApiError: the response is an error, and is not retried.
        """
        if response.is_success:
            return True
        error = _api_error(response)
        self._retry_or_raise(error, self._call.idempotent and error.status in _RETRIED, error.retry_after)
        return False

    def failed(self, failure: httpx.RequestError) -> None:
        """Handle an attempt without a response.

        Raises:
            DeadlineError: the deadline has passed.
            NoConnectionError: the call is not retried.
        """
        if isinstance(failure, httpx.TimeoutException):
            raise self._deadline_error() from failure
        reason = f"{self._call.method} {self._target.url}{self._call.path}: {failure or type(failure).__name__}"
        if isinstance(failure, _NOT_SENT):
            self._retry_or_raise(NotConnectedError(f"no connection: {reason}"), True, None)
        else:
            self._retry_or_raise(ConnectionLostError(f"the connection broke: {reason}"), self._call.idempotent, None)

    def result(self, response: httpx.Response) -> _T:
        """Read the answer.

        Raises:
            UnexpectedAnswerError: it is not an answer of this service.
        """
        return self._call.read(response.content)

    def _retry_or_raise(self, error: ClientError, allowed: bool, asked: float | None) -> None:
        """Set the pause before the next attempt, or raise the error if there is to be none."""
        if not allowed or self._attempt >= self._target.retries.attempts:
            raise error
        self.pause = self._target.retries.pause(self._attempt, asked)
        if self.pause >= self._left():
            raise error

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _deadline_error(self) -> DeadlineError:
        return DeadlineError(f"{self._call.method} {self._call.path}: no answer in {self._timeout:g} seconds")


def _api_error(response: httpx.Response) -> ApiError:
    try:
        detail: dict[str, Any] = response.json()["error"]
        code, message, param = str(detail["code"]), str(detail["message"]), detail.get("param")
    except (ValueError, KeyError, TypeError, RecursionError):  # from a proxy between the service and here
        code, message, param = "http_error", response.text[:200] or response.reason_phrase, None
    request_id = response.headers.get("x-request-id")
    status = response.status_code
    return error_class(status)(status, code, message, param, request_id, _retry_after(response.headers))


def _retry_after(headers: httpx.Headers) -> float | None:
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("retry-after")
        if text is None:
            return None
        if text.isdigit():
            return float(text)
        when = parsedate_to_datetime(text)
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None
