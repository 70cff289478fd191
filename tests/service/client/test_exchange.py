import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import service.client as api
from service.client import Client, Retries
from tests.service.client.fakes import FOUND, QUICK, URL, Service, refusal


@pytest.mark.parametrize(
    "first",
    [
        refusal(503),
        refusal(429),
        httpx.Response(504),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("gone"),
    ],
    ids=repr,
)
def test_a_search_is_retried(connect, first):
    service = Service(first, first, FOUND)
    assert connect(service).search("a").results == ()
    assert len(service.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 422, 500])
def test_permanent_errors_are_not_retried(connect, status):
    service = Service(refusal(status), FOUND)
    with pytest.raises(api.ApiError):
        connect(service).search("a")
    assert len(service.requests) == 1


def test_attempts_are_bounded(connect):
    service = Service(refusal(503))
    with pytest.raises(api.OverloadedError):
        connect(service).search("a")
    assert len(service.requests) == QUICK.attempts
    service = Service(httpx.ConnectError("refused"))
    with pytest.raises(api.NotConnectedError, match=r"POST http://service.test/v1/search: refused"):
        connect(service).search("a")
    assert len(service.requests) == QUICK.attempts


def test_a_rollback_without_a_target_is_retried_only_if_it_was_not_sent(connect):
    change = {"before": "000002", "generation": "000001"}
    service = Service(httpx.ConnectError("refused"), change)
    assert connect(service).rollback().generation == "000001"
    service = Service(httpx.ReadError("reset"), change)
    with pytest.raises(api.ConnectionLostError):
        connect(service).rollback()
    assert len(service.requests) == 1
    assert connect(Service(httpx.ReadError("reset"), change)).rollback("000001").generation == "000001"


def test_the_pause_that_the_service_asks_for_is_kept(connect):
    for headers, least in (({"retry-after-ms": "30"}, 0.03), ({"retry-after-ms": "30", "retry-after": "9"}, 0.03)):
        started = time.monotonic()
        connect(Service(refusal(503, headers=headers), FOUND)).search("a")
        assert least <= time.monotonic() - started < 5


def test_no_pause_exceeds_the_deadline(connect):
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for asked in ("60", later):
        started = time.monotonic()
        with pytest.raises(api.OverloadedError) as caught:
            connect(Service(refusal(503, headers={"retry-after": asked}))).search("a", timeout=5)
        assert time.monotonic() - started < 4
        assert 50 < caught.value.retry_after <= 3600


def test_a_timeout_is_a_deadline_error(connect):
    service = Service(httpx.ReadTimeout("slow"))
    with pytest.raises(api.DeadlineError, match=r"POST /v1/search: no answer in 0.5 seconds") as caught:
        connect(service).search("a", timeout=0.5)
    assert isinstance(caught.value, TimeoutError)
    assert int(service.requests[0].headers["x-timeout-ms"]) <= 500
    assert len(service.requests) == 1


def test_each_attempt_has_less_time_left(connect):
    service = Service(refusal(503, headers={"retry-after-ms": "20"}), FOUND)
    connect(service).search("a", timeout=10)
    first, second = (int(request.headers["x-timeout-ms"]) for request in service.requests)
    assert first - second >= 19


@given(attempt=st.integers(1, 2000), asked=st.none() | st.floats(0, 100))
def test_the_backoff_is_bounded(attempt, asked):
    pause = Retries(first_seconds=0.1, longest_seconds=3).pause(attempt, asked)
    if asked is None:
        assert 0 <= pause <= min(3, 0.1 * 2 ** min(attempt - 1, 10))
    else:
        assert asked <= pause <= asked + 0.1


def test_a_service_that_is_not_ready_is_no_error(connect):
    for step in (refusal(503, "not_ready"), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")):
        assert connect(Service(step)).ready() is False
    with pytest.raises(api.NotFoundError):
        connect(Service(refusal(404))).ready()


def test_options_are_checked():
    for make, message in (
        (lambda: Client("localhost:8000"), "give an HTTP URL, such as http://localhost:8000"),
        (lambda: Client(URL, timeout=0), "positive number of seconds"),
        (lambda: Retries(attempts=0), "at least 1"),
        (lambda: Retries(first_seconds=9), "first_seconds not larger"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
