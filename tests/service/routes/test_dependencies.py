import asyncio
import threading
import time
from typing import get_args

import httpx
import pytest
from fastapi import Request

from models import InvalidOptionError
from service import Settings, create_app
from service.routes.dependencies import Deadline, EngineOf, client_disconnected, deadline_of, engine_of


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "soon", "9999999999999", "²"])
def test_an_invalid_deadline_is_refused(client, given):
    answer = client.post("/v1/search", json={"query": "w1"}, headers={b"X-Timeout-Ms": given.encode()})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "X-Timeout-Ms"


def test_a_deadline_that_holds_changes_nothing(client):
    plain = client.post("/v1/search", json={"query": "w1"})
    assert client.post("/v1/search", json={"query": "w1"}, headers={"X-Timeout-Ms": "20000"}).json() == plain.json()


def test_a_passed_deadline_gets_408(built):
    async def go():
        app = create_app(Settings(index=built, auth="off", threads=1, watch_share=0, follow_seconds=0))
        engine = app.state.engine
        await engine.load()
        hold = threading.Event()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            holder = asyncio.create_task(engine.run(lambda: hold.wait(30)))
            await asyncio.sleep(0)
            late = await client.post("/v1/search", json={"query": "w1"}, headers={"X-Timeout-Ms": "20"})
            assert (late.status_code, late.json()["error"]["code"]) == (408, "deadline_exceeded")
            hold.set()
            await holder
        await engine.close()

    asyncio.run(go())


def request(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "app": create_app(Settings(index="/no/index", auth="off"))})


def test_a_deadline_is_read_from_the_header():
    assert deadline_of(request()) is None
    assert deadline_of(request(x_timeout_ms="1500")) == pytest.approx(time.monotonic() + 1.5, abs=0.5)
    for value in ("0", "3600001", "soon", "-1"):
        with pytest.raises(InvalidOptionError, match="give whole milliseconds from 1 to 3600000"):
            deadline_of(request(x_timeout_ms=value))


def test_dependencies_are_those_of_the_application():
    sent = request(x_timeout_ms="1500")
    (engine,) = get_args(EngineOf)[1:]
    (deadline,) = get_args(Deadline)[1:]
    assert asyncio.run(engine.dependency(sent)) is engine_of(sent) is sent.app.state.engine
    assert asyncio.run(deadline.dependency(sent)) == pytest.approx(deadline_of(sent), abs=0.5)


def test_a_disconnect_is_waited_for():
    messages = ["http.request", "http.disconnect"]

    async def receive():
        return {"type": messages.pop(0)}

    asyncio.run(client_disconnected(Request({"type": "http", "headers": []}, receive)))
    assert messages == []
