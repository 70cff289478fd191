import asyncio
import threading

from tests.service.applications import error_of, serve


def test_overload_is_refused_at_once_and_passes(built):
    async def scenario(client, engine):
        await engine.load()
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

    serve(built, scenario, load=False, threads=2, max_pending=3, cors_origins=("https://app.example",))
