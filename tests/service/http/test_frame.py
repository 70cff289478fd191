import asyncio

import pytest

from service import Settings, create_app
from service.http.frame import Frame
from service.telemetry.metrics import Metrics
from tests.service.applications import ask, error_of


def test_a_failure_after_the_answer_began_is_not_answered_again(caplog):
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


def test_a_failure_is_answered_and_logged_with_one(log_lines):
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
