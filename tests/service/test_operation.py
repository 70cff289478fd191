"""Generations, metrics, draining: the service over its life."""

import asyncio
import re
import shutil
import signal
import threading
import time

import httpx
import pytest

from indexer import Corpus, Generations, Index, build_index
from indexer.building.compact import compact_index
from indexer.corpus import Document
from models import load_encoder
from service import Settings, create_app
from service.http.server import DrainingServer, uvicorn_config
from tests.conftest import make_texts, write_lines


@pytest.fixture
def root(built, tmp_path):
    """An index of this test's own."""
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


def serve(root, scenario, **settings):
    """Run a scenario with the application, loaded."""

    async def go():
        chosen = {"watch_share": 0, "auth": "off", "follow_seconds": 0, **settings}
        app = create_app(Settings(index=root, **chosen))
        engine = app.state.engine
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await engine.load()
            try:
                await asyncio.wait_for(scenario(client, engine), 60)
            finally:
                await engine.close()

    asyncio.run(go())


def build_again(root, count):
    """Publish a generation of other documents."""
    texts = make_texts(count, seed=5)
    corpus = write_lines(root.parent / "more.jsonl", [{"_id": f"n{i}", "text": text} for i, text in enumerate(texts)])
    manifest = Index.open(root).manifest
    return build_index(Corpus([corpus]), load_encoder(manifest.model.name), root).generation


async def until(condition):
    while not await condition():
        await asyncio.sleep(0.02)


class TestGenerations:
    def test_reload_serves_what_was_published_and_says_so(self, root):
        async def scenario(client, engine):
            assert (await client.post("/v1/index/reload")).json() == {"generation": "000001", "changed": False}
            assert build_again(root, 50) == "000002"
            assert (await client.get("/v1/index")).json()["documents"] == 1000, "nothing is followed unless asked"
            assert (await client.post("/v1/index/reload")).json() == {"generation": "000002", "changed": True}
            assert (await client.get("/v1/index")).json()["documents"] == 50
            hits = (await client.post("/v1/search", json={"query": "w1 w2"})).json()["results"]
            assert all(hit["id"].startswith("n") for hit in hits)

        serve(root, scenario)

    def test_what_is_published_is_followed(self, root):
        async def scenario(client, engine):
            build_again(root, 50)

            async def served():
                return (await client.get("/v1/index")).json()["generation"] == "000002"

            await until(served)

        serve(root, scenario, follow_seconds=0.05)

    def test_a_generation_that_cannot_be_opened_is_not_served(self, root, caplog):
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

    def test_rollback_goes_back_and_forward(self, root):
        async def scenario(client, engine):
            build_again(root, 50)
            await client.post("/v1/index/reload")
            answer = await client.post("/v1/index/rollback")
            assert answer.json() == {"before": "000002", "generation": "000001"}
            assert (await client.get("/v1/index")).json()["documents"] == 1000
            assert Generations(root).published() == "000001"
            assert (await client.post("/v1/index/rollback", json={"to": "2"})).json()["generation"] == "000002"
            for to, message in (("7", "no complete generation '7'"), ("../etc", "no complete generation")):
                refused = await client.post("/v1/index/rollback", json={"to": to})
                assert refused.status_code == 409
                assert message in refused.json()["error"]["message"]

        serve(root, scenario)

    def test_there_may_be_nothing_to_go_back_to(self, root):
        async def scenario(client, engine):
            refused = await client.post("/v1/index/rollback")
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "cannot_roll_back")
            assert "no earlier generation" in refused.json()["error"]["message"]

        serve(root, scenario)

    def test_searches_go_on_through_reloads_and_rollbacks(self, root):
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

    def test_the_first_generation_can_be_waited_for(self, root, tmp_path):
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


class TestCompaction:
    def test_updates_are_folded_in_while_searches_go_on(self, root):
        async def scenario(client, engine):
            await engine.write(lambda: engine.index.upsert([Document("new", "w5 w6", {"n": 1})]))
            assert (await client.get("/v1/index")).json()["updates"] == 1
            started = await client.post("/v1/index/compact")
            assert (started.status_code, started.json()["state"]) == (202, "running")
            again = await client.post("/v1/index/compact")
            assert (again.status_code, again.json()["error"]["code"]) == (409, "busy")

            async def ended():
                assert (await client.post("/v1/search", json={"query": "w5 w6"})).json()["results"][0]["id"] == "new"
                return (await client.get("/v1/index")).json()["compaction"]["state"] != "running"

            await until(ended)
            facts = (await client.get("/v1/index")).json()
            assert (facts["compaction"]["state"], facts["compaction"]["generation"]) == ("done", "000002")

            async def served():
                facts = (await client.get("/v1/index")).json()
                return (facts["generation"], facts["updates"], facts["documents"]) == ("000002", 0, 1001)

            await until(served)

        serve(root, scenario, follow_seconds=0.1)

    def test_many_updates_are_folded_in_by_themselves(self, root):
        async def scenario(client, engine):
            documents = [Document(f"new {i}", f"w{i}", {}) for i in range(6)]
            await engine.write(lambda: engine.index.upsert(documents))

            async def served():
                return (await client.get("/v1/index")).json()["generation"] == "000002"

            await until(served)

        serve(root, scenario, follow_seconds=0.1, compact_after=5)

    def test_a_failure_is_told(self, root):
        async def scenario(client, engine):
            await engine.write(lambda: engine.index.upsert([Document("new", "w5", {})]))
            with Generations(root).locked():
                await client.post("/v1/index/compact")

                async def failed():
                    return (await client.get("/v1/index")).json()["compaction"]["state"] == "failed"

                await until(failed)
            facts = (await client.get("/v1/index")).json()["compaction"]
            assert "another process is changing" in facts["message"]

        serve(root, scenario)


class TestMetrics:
    def value(self, text, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"{name} is not in\n{text}"
        return float(found[1])

    def test_what_was_done_is_told(self, root):
        async def scenario(client, engine):
            for _ in range(3):
                await client.post("/v1/search", json={"query": "w1 w2"})
            await client.post("/v1/search", json={"query": 5})
            await client.get("/nothing/here")
            answer = await client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            text = answer.text
            count = 'mrl_request_seconds_count{method="POST",route="/v1/search",status="%d"}'
            assert self.value(text, count % 200) == 3
            assert self.value(text, count % 422) == 1
            assert self.value(text, 'mrl_request_seconds_count{method="GET",route="none",status="404"}') == 1
            assert self.value(text, 'mrl_stage_seconds_count{stage="shortlist"}') == 3
            assert self.value(text, "mrl_generation") == 1
            assert self.value(text, "mrl_documents") == 1000
            assert self.value(text, "mrl_disk_free_bytes") > 0
            assert self.value(text, "mrl_pending_requests") == 0
            assert self.value(text, "process_resident_memory_bytes") > 1e6

        serve(root, scenario)

    def test_live_recall_is_told(self, root):
        async def scenario(client, engine):
            for i in range(20):
                await client.post("/v1/search", json={"query": f"w{i}", "candidates": 50})
            assert engine.index.watch.wait(20)
            text = (await client.get("/metrics")).text
            assert re.search(r'^mrl_live_recall\{promised="[^"]+"\} (1\.0|0\.\d+)$', text, re.MULTILINE)
            assert re.search(r'^mrl_live_recall_alarm\{promised="[^"]+"\} 0\.0$', text, re.MULTILINE)

        serve(root, scenario, watch_share=1, watch_budget=1)

    def test_before_the_index_is_open_there_is_no_index_to_tell_of(self, root):
        app = create_app(Settings(index=root, auth="off"))
        assert b"mrl_generation" not in app.state.engine.metrics.text()
        asyncio.run(app.state.engine.close())


class TestDraining:
    def test_a_stopping_service_is_unready_first_and_answers_to_the_end(self, root):
        settings = Settings(index=root, auth="off", port=0, drain_seconds=0.5, watch_share=0, log_level="warning")
        app = create_app(settings)
        server = DrainingServer(uvicorn_config(settings, app), app.state.engine)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not (server.started and app.state.engine.ready):
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                assert client.get("/readyz").status_code == 200
                server.handle_exit(signal.SIGTERM, None)
                refused = client.get("/readyz")
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
                assert client.post("/v1/search", json={"query": "w1"}).status_code == 200
                assert client.get("/healthz").status_code == 200
                thread.join(20)
                assert not thread.is_alive()
        finally:
            server.should_exit = True
            thread.join()


def test_a_compaction_that_the_index_command_made_is_served_too(root):
    async def scenario(client, engine):
        await engine.write(lambda: engine.index.delete(["3"]))
        await asyncio.to_thread(compact_index, root)

        async def served():
            return (await client.get("/v1/index")).json()["generation"] == "000002"

        await until(served)
        assert (await client.get("/v1/index")).json()["documents"] == 999

    serve(root, scenario, follow_seconds=0.05)
