import asyncio

import httpx
import pytest

from models import InvalidOptionError
from service import Settings, create_app
from tests.service.applications import ask, error_of

STRONG = "k7Qw-29_fhZpL0mXbT4sVd"


def run_lifespan(app, scenario):
    """Start the application as a server does, run a scenario, and stop it."""

    async def go():
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(scenario(app.state.engine), 30)

    asyncio.run(go())


async def loaded(engine):
    while not (engine.ready or engine.failure):
        await asyncio.sleep(0.01)


def test_the_index_is_opened_in_the_background_and_closed_at_the_end(built):
    app = create_app(Settings(index=built, auth="off", watch_share=0, follow_seconds=0))
    seen = []

    async def scenario(engine):
        seen.append(engine.ready)
        await loaded(engine)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200

    run_lifespan(app, scenario)
    assert seen == [False]


def test_a_failure_to_open_is_reported(tmp_path):
    failures = []
    app = create_app(Settings(index=tmp_path, auth="off"), on_failure=lambda: failures.append(1))
    run_lifespan(app, loaded)
    assert failures == [1]
    assert "no index is published" in str(app.state.engine.failure)


def test_a_service_that_waits_for_an_index_can_be_stopped(tmp_path):
    app = create_app(Settings(index=tmp_path, auth="off", wait=True, follow_seconds=10))

    async def scenario(engine):
        await asyncio.sleep(0.05)
        assert not engine.ready

    run_lifespan(app, scenario)
    assert app.state.engine.failure is None


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MRL_INDEX", "/some/index")
    monkeypatch.setenv("MRL_AUTH", "off")
    assert str(create_app().state.engine.settings.index) == "/some/index"


def test_it_requires_a_key_unless_authentication_is_off():
    with pytest.raises(InvalidOptionError, match="no API key is given"):
        create_app(Settings(index="/no/index"))
    (refused,) = ask(("GET", "/v1/index"), auth="keys", api_key=STRONG)
    assert (refused.status_code, error_of(refused)["code"]) == (401, "missing_key")
    (answer,) = ask(("GET", "/v1/index"))
    assert error_of(answer)["code"] == "not_ready"


def test_bodies_are_limited_inside_of_authentication():
    app = create_app(Settings(index="/no/index", api_key=STRONG, max_body_bytes=1024))

    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            plain = await client.post("/v1/search", content=b" " * 2000)
            known = await client.post("/v1/search", content=b" " * 2000, headers={"X-API-Key": STRONG})
        return plain.status_code, known.status_code

    assert asyncio.run(go()) == (401, 413)
