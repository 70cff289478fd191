import asyncio
import json
import threading

import pytest

from service.errors import envelope
from service.http.shedding import LoadShedding
from service.telemetry.metrics import Metrics
from tests.service.applications import error_of, serve
from tests.service.http.asgi import call


def test_overload_is_refused_at_once_and_ends(built):
    async def scenario(client, engine):
        hold, search = threading.Event(), engine.index.search
        engine.index.search = lambda *arguments, **named: hold.wait(30) and search(*arguments, **named)
        posts = [asyncio.create_task(client.post("/v1/search", json={"query": "w1"})) for _ in range(3)]
        while engine.reads.pending < 3:
            await asyncio.sleep(0.01)
        origin = {"Origin": "https://app.example"}
        refused = await client.post("/v1/search", json={"query": "w1"}, headers=origin)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert error_of(refused)["code"] == "overloaded"
        # A page has to be able to read why, and may ask whether it may call meanwhile.
        assert refused.headers["access-control-allow-origin"] == "https://app.example"
        asked = {**origin, "Access-Control-Request-Method": "POST"}
        assert (await client.options("/v1/search", headers=asked)).status_code == 200
        # The event loop is free while both threads are held.
        assert (await asyncio.wait_for(client.get("/healthz"), 1)).status_code == 200
        hold.set()
        assert [response.status_code for response in await asyncio.gather(*posts)] == [200] * 3
        assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200

    serve(built, scenario, threads=2, max_pending=3, cors_origins=("https://app.example",))


def test_only_searches_are_shed():
    shedding = LoadShedding(lambda: 0.5, Metrics())
    for path in ("/v1/search", "/v1/embeddings", "/v1/classify"):
        assert shedding.retry_after(path) == 0.5
    for path in ("/healthz", "/v1/documents", "/v1/index", "/v1/search/x"):
        assert shedding.retry_after(path) is None
    assert LoadShedding(lambda: None, Metrics()).retry_after("/v1/search") is None


def test_the_refusal_is_that_of_the_envelope_and_is_counted():
    metrics = Metrics()
    shedding = LoadShedding(lambda: 0.5, metrics)

    async def app(scope, receive, send):
        await shedding.refuse(0.2504, scope, receive, send)

    status, headers, body = call(app, path="/v1/search")
    message = json.loads(body)["error"]["message"]
    expected = envelope(503, "overloaded", message, Retry_After="1", retry_after_ms="251")
    assert (status, body) == (expected.status_code, expected.body)
    assert headers == dict(expected.raw_headers)
    assert 'mrl_refused_total{reason="overloaded"} 1.0' in metrics.text().decode()


@pytest.mark.parametrize(("origin", "allowed"), [(b"https://app.example", True), (b"https://evil.example", False)])
def test_a_page_of_an_allowed_origin_may_read_the_refusal(origin, allowed):
    shedding = LoadShedding(lambda: 0.5, Metrics(), cors_origins=("https://app.example",))

    async def app(scope, receive, send):
        await shedding.refuse(0.5, scope, receive, send)

    _, headers, _ = call(app, path="/v1/search", headers=[(b"origin", origin)])
    assert (headers.get(b"access-control-allow-origin") == origin) is allowed
