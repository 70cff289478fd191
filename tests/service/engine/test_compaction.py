from indexer import Document, Generations
from tests.service.applications import serve, until


def test_updates_are_folded_in_while_searches_go_on(root):
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


def test_many_updates_are_folded_in_by_themselves(root):
    async def scenario(client, engine):
        documents = [Document(f"new {i}", f"w{i}", {}) for i in range(6)]
        await engine.write(lambda: engine.index.upsert(documents))

        async def served():
            return (await client.get("/v1/index")).json()["generation"] == "000002"

        await until(served)

    serve(root, scenario, follow_seconds=0.1, compact_after=5)


def test_a_failure_is_told(root):
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
