import asyncio
import threading

import httpx
import pytest

from service import Settings, create_app


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "soon", "9999999999999", "²"])
def test_a_deadline_must_be_one(client, given):
    answer = client.post("/v1/search", json={"query": "w1"}, headers={b"X-Timeout-Ms": given.encode()})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "X-Timeout-Ms"


def test_a_deadline_that_holds_changes_nothing(client):
    plain = client.post("/v1/search", json={"query": "w1"})
    assert client.post("/v1/search", json={"query": "w1"}, headers={"X-Timeout-Ms": "20000"}).json() == plain.json()


def test_a_passed_deadline_is_told(built):
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
