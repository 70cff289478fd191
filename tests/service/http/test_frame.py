import asyncio

import pytest
from fastapi.routing import APIRoute

from service import Settings, create_app
from service.http.frame import Frame
from service.telemetry.metrics import Metrics
from tests.service.applications import ask, error_of
from tests.service.http.asgi import answers, call


def test_a_failure_after_the_response_began_is_not_answered_again(caplog):
    async def fails(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    sent = []

    async def send(message):
        sent.append(message)

    frame = Frame(fails, Settings(index="x", auth="off"), Metrics(), lambda: None)
    with pytest.raises(RuntimeError, match="too late"):
        asyncio.run(frame({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send))
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "GET / failed" in caplog.text


def test_a_failure_is_answered_by_the_envelope_and_logged_with_the_request_id(log_lines):
    app = create_app(Settings(index="/no/index", auth="off"))

    @app.get("/broken")
    async def broken():
        raise RuntimeError("the reason")

    (answer,) = ask(("GET", "/broken", {"X-Request-Id": "trace-7"}), app=app)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "trace-7"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert error_of(answer)["code"] == "internal_error"
    assert "the reason" not in answer.text
    (line,) = log_lines("mrl.service")
    assert (line["message"], line["request_id"]) == ("GET /broken failed", "trace-7")
    assert "RuntimeError: the reason" in line["exception"]


def framed(app=answers, *, retry_after=None, **settings):
    return Frame(app, Settings(index="x", auth="off", **settings), Metrics(), lambda: retry_after)


def test_an_answer_has_the_headers_of_the_application_and_of_the_frame():
    status, headers, body = call(framed(), path="/v1/index", headers=[(b"x-request-id", b"r1"), (b"host", b"any")])
    assert (status, body) == (200, b"ok")
    assert headers[b"content-type"] == b"text/plain"
    assert headers[b"x-request-id"] == b"r1"
    assert headers[b"cache-control"] == b"no-store"


def test_an_unknown_host_does_not_reach_the_application():
    frame = framed(allowed_hosts=("a.example",))
    status, headers, body = call(frame, headers=[(b"host", b"b.example")])
    assert (status, b"unknown_host" in body, b"x-request-id" in headers) == (400, True, True)
    assert call(frame, headers=[(b"host", b"a.example")])[0] == 200


def test_a_search_without_room_does_not_reach_the_application(log_lines):
    frame = framed(retry_after=2.5, access_log=True)
    status, headers, body = call(frame, path="/v1/search", method="POST")
    assert (status, headers[b"retry-after"], b"x-frame-options" in headers) == (503, b"3", True)
    assert call(frame, path="/v1/index")[0] == 200
    assert [(line["path"], line["status"], line["bytes"]) for line in log_lines()] == [
        ("/v1/search", 503, len(body)),
        ("/v1/index", 200, 2),
    ]


def test_requests_are_counted_by_route_and_status():
    metrics = Metrics()

    async def app(scope, receive, send):
        scope["route"] = APIRoute("/v1/documents/{id}", answers)
        await answers(scope, receive, send)

    frame = Frame(app, Settings(index="x", auth="off"), metrics, lambda: None)
    for path in ("/v1/documents/1", "/v1/documents/2"):
        call(frame, path=path)
    call(Frame(answers, Settings(index="x", auth="off"), metrics, lambda: None), path="/what/a/client/chooses")
    text = metrics.text().decode()
    assert 'mrl_request_seconds_count{method="GET",route="/v1/documents/{id}",status="200"} 2.0' in text
    assert 'mrl_request_seconds_count{method="GET",route="none",status="200"} 1.0' in text
    assert "/what" not in text


def test_other_protocols_are_passed_on():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    asyncio.run(framed(app)({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]
