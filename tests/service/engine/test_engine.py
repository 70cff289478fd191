"""The engine over its life: opening, following, reloading, rolling back."""

import asyncio

import httpx
import pytest

from indexer import Document, Generations, compact_index
from models import InvalidOptionError
from models.data.images import image_size
from service import Settings, create_app
from service.engine.engine import _search_once
from service.errors import ServiceError
from service.schemas.compaction import CompactionFacts
from tests.service.applications import build_again, error_of, serve, until


def test_an_index_that_cannot_be_opened_says_why(tmp_path):
    async def scenario(client, engine):
        await engine.load()
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert "no index is published at" in error_of(response)["message"]

    serve(tmp_path, scenario, load=False)


def test_any_other_failure_to_open_is_reported_and_logged(built, monkeypatch, caplog):
    async def scenario(client, engine):
        monkeypatch.setattr("service.engine.engine.Index.open", lambda *_, **__: 1 / 0)
        await engine.load()
        assert "division by zero" in error_of(await client.get("/readyz"))["message"]

    serve(built, scenario, load=False)
    assert "Traceback" in caplog.text


def test_published_generations_are_followed(root):
    async def scenario(client, engine):
        build_again(root, 50)

        async def served():
            return (await client.get("/v1/index")).json()["generation"] == "000002"

        await until(served)

    serve(root, scenario, follow_seconds=0.05)


def test_a_generation_that_cannot_be_opened_is_not_served(root, caplog):
    async def scenario(client, engine):
        name = build_again(root, 50)
        vectors = next(Generations(root).path(name).glob("vectors*"))
        content = vectors.read_bytes()
        vectors.write_bytes(content[:-1])
        refused = await client.post("/v1/index/reload")
        assert refused.status_code == 503
        assert "vectors" in refused.json()["error"]["message"]
        assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200
        assert 'mrl_reloads_total{outcome="failed"} ' in (await client.get("/metrics")).text
        vectors.write_bytes(content)

        async def served():
            return (await client.get("/v1/index")).json()["generation"] == name

        await until(served)

    serve(root, scenario, follow_seconds=0.1)


def test_searches_continue_through_reloads_and_rollbacks(root):
    """And those that began with a generation end with it."""

    async def scenario(client, engine):
        build_again(root, 50)
        await client.post("/v1/index/reload")
        done, statuses = asyncio.Event(), []

        async def search():
            while not done.is_set():
                answer = await client.post("/v1/search", json={"query": "w1 w2", "k": 3})
                statuses.append(answer.status_code)
                kinds = {hit["id"].startswith("n") for hit in answer.json()["results"]}
                assert len(kinds) == 1, "one answer comes from one generation"

        searches = [asyncio.create_task(search()) for _ in range(4)]
        for turn in range(10):
            to = {"to": str(1 + turn % 2)}
            assert (await client.post("/v1/index/rollback", json=to)).status_code == 200
        done.set()
        await asyncio.gather(*searches)
        assert set(statuses) == {200}
        assert len(statuses) > 10

    serve(root, scenario)


def test_the_service_can_wait_for_the_first_generation(root, tmp_path):
    """And the service can be stopped meanwhile."""

    async def go():
        moved = tmp_path / "later"
        app = create_app(Settings(index=moved, auth="off", wait=True, follow_seconds=0.05, watch_share=0))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            loading = asyncio.create_task(app.state.engine.load())
            await asyncio.sleep(0.1)
            refused = await client.get("/readyz")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
            root.rename(moved)
            await loading
            assert (await client.get("/readyz")).status_code == 200
        await app.state.engine.close()

    asyncio.run(go())


def test_a_compaction_by_the_command_is_served(root):
    async def scenario(client, engine):
        await engine.write(lambda: engine.index.delete(["3"]))
        await asyncio.to_thread(compact_index, root)

        async def served():
            return (await client.get("/v1/index")).json()["generation"] == "000002"

        await until(served)
        assert (await client.get("/v1/index")).json()["documents"] == 999

    serve(root, scenario, follow_seconds=0.05)


def test_a_reload_says_whether_the_generation_changed_and_counts_failures(root, monkeypatch):
    async def scenario(client, engine):
        assert await engine.reload() is False
        build_again(root, 20)
        assert await engine.reload() is True
        assert len(engine.index) == 20
        monkeypatch.setattr(engine.index, "reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await engine.reload()
        text = engine.metrics.text().decode()
        assert 'mrl_reloads_total{outcome="changed"} 1.0' in text
        assert 'mrl_reloads_total{outcome="failed"} 1.0' in text

    serve(root, scenario)


def test_a_rollback_publishes_and_serves_or_is_a_conflict(root):
    async def scenario(client, engine):
        with pytest.raises(ServiceError, match="no earlier generation") as refused:
            await engine.rollback(None)
        assert (refused.value.status, refused.value.code) == (409, "cannot_roll_back")
        build_again(root, 20)
        assert await engine.rollback(None) == ("000002", "000001")
        assert await engine.rollback("2") == ("000001", "000002")
        assert engine.index.generation == "000002"

    serve(root, scenario)


def test_what_keeps_it_from_following_is_logged_once(root, monkeypatch, caplog):
    async def scenario(client, engine):
        tries = []
        monkeypatch.setattr(engine.index, "reload", lambda: tries.append(1) or 1 / 0)
        while len(tries) < 3:
            await asyncio.sleep(0.01)

    serve(root, scenario, follow_seconds=0.01)
    assert caplog.text.count("cannot follow") == 1


def test_a_failed_compaction_is_tried_again_when_there_are_half_as_many_updates_more(root, monkeypatch):
    async def scenario(client, engine):
        started = []
        monkeypatch.setattr(engine.compaction, "start", lambda: started.append(engine.index.view.delta.changes))
        for count in range(1, 11):
            await engine.write(lambda count=count: engine.index.upsert([Document(f"new {count}", "w1", {})]))
            engine._compact_if_due()
            engine.compaction.facts = CompactionFacts(state="failed" if started else "none")
        assert started == [5, 8]

    serve(root, scenario, compact_after=4)


def test_a_model_without_a_text_encoder_is_warmed_up_by_an_image():
    calls = []

    class Vision:
        def search(self, texts, options):
            raise InvalidOptionError("query", "encodes images only")

        def search_images(self, images, options):
            calls.append(image_size(images[0]))

    _search_once(Vision())
    assert calls == [(8, 8)]
