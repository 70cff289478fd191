"""A call from its first attempt to its answer: deadlines, retries and errors, without any connection."""

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
    NotConnectedError,
    kind_of,
)

_T = TypeVar("_T")
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Retries:
    """When a call is tried again: after a lost connection, and after 429, 502, 503 and 504.

    A call that is not idempotent is tried again only where no connection was made. Writes of documents are idempotent:
    the id says which document it is. A pause is what the service asks for (``retry-after-ms``, ``Retry-After``) and a
    random part on top; else a random part of an interval that doubles (full jitter), so that clients turned away
    together do not come back together. No pause goes past the call's deadline.

    Attributes:
        attempts: at most, the first one counted; 1 for no retry.
        first_seconds: the interval after the first attempt.
        longest_seconds: where the interval stops to grow.
    """

    attempts: int = 4
    first_seconds: float = 0.1
    longest_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts {self.attempts}: at least 1 is needed")
        if not 0 < self.first_seconds <= self.longest_seconds:
            raise ValueError(
                f"first_seconds {self.first_seconds}, longest_seconds {self.longest_seconds}: "
                "give positive numbers, the first not the larger"
            )

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after attempt 1, 2, …; ``asked`` is what the service asked for."""
        if asked is not None:
            return asked + random.uniform(0, self.first_seconds)  # noqa: S311  nothing is kept secret by it
        doubled = self.first_seconds * 2.0 ** min(attempt - 1, 64)  # more doublings would leave the range of floats
        return random.uniform(0, min(self.longest_seconds, doubled))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go.

    Attributes:
        url: of the service, without a slash at the end.
        api_key: sent with each call.
        timeout: seconds for a call with all its attempts.
        retries: when one is tried again.
    """

    url: str
    api_key: str | None
    timeout: float
    retries: Retries

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url {self.url!r}: give one such as http://localhost:8000")
        if not self.timeout > 0:
            raise ValueError(f"timeout {self.timeout}: give a positive number of seconds")
        object.__setattr__(self, "url", self.url.rstrip("/"))


class Exchange(Generic[_T]):
    """One call. The client sends what :meth:`request` makes until :meth:`answered` takes the answer.

    Attributes:
        pause: seconds to wait before the next attempt.
    """

    def __init__(self, target: Target, call: Call[_T], timeout: float | None = None) -> None:
        self._target, self._call = target, call
        self._timeout = target.timeout if timeout is None else timeout
        self._until = time.monotonic() + self._timeout
        self._attempt = 0
        self.pause = 0.0

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Make the next attempt's request; it tells the service how long there is left.

        Raises:
            DeadlineError: there is no time left.
        """
        self._attempt += 1
        left = self._left()
        if left <= 0:
            raise self._late()
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
        """Take an answer; tell whether it is the last, which :meth:`result` reads.

        Raises:
            ApiError: it is an error, and is not tried again.
        """
        if response.is_success:
            return True
        error = _api_error(response)
        self._again(error, self._call.idempotent and error.status in _TRY_AGAIN, error.retry_after)
        return False

    def failed(self, failure: httpx.RequestError) -> None:
        """Take a failure to get an answer.

        Raises:
            DeadlineError: the time is over.
            NoConnectionError: it is not tried again.
        """
        if isinstance(failure, httpx.TimeoutException):
            raise self._late() from failure
        reason = f"{self._call.method} {self._target.url}{self._call.path}: {failure or type(failure).__name__}"
        if isinstance(failure, _NEVER_SENT):
            self._again(NotConnectedError(f"no connection: {reason}"), True, None)
        else:
            self._again(ConnectionLostError(f"the connection broke: {reason}"), self._call.idempotent, None)

    def result(self, response: httpx.Response) -> _T:
        """Read the answer.

        Raises:
            UnexpectedAnswerError: it is not one of this service.
        """
        return self._call.read(response.content)

    def _again(self, error: ClientError, allowed: bool, asked: float | None) -> None:
        """Set the pause before the next attempt, or raise the error where there is none."""
        if not allowed or self._attempt >= self._target.retries.attempts:
            raise error
        self.pause = self._target.retries.pause(self._attempt, asked)
        if self.pause >= self._left():
            raise error

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _late(self) -> DeadlineError:
        return DeadlineError(f"{self._call.method} {self._call.path}: no answer in {self._timeout:g} seconds")


def _api_error(response: httpx.Response) -> ApiError:
    try:
        detail: dict[str, Any] = response.json()["error"]
        code, message, param = str(detail["code"]), str(detail["message"]), detail.get("param")
    except (ValueError, KeyError, TypeError):  # by something between the service and here
        code, message, param = "http_error", response.text[:200] or response.reason_phrase, None
    request_id = response.headers.get("x-request-id")
    status = response.status_code
    return kind_of(status)(status, code, message, param, request_id, _retry_after(response.headers))


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
