from indexer import Generations
from tests.service.applications import build_again, serve, write_plans


def test_index_facts(client, opened):
    facts = client.get("/v1/index").json()
    assert (facts["documents"], facts["dimension"], facts["sizes"], facts["generation"]) == (
        1000,
        32,
        [8, 16, 32],
        "000001",
    )
    assert facts["shortlist"]["kind"] == opened.manifest.shortlist.kind
    assert facts["shortlist"]["dims"] == 16
    assert facts["model_hash"] == opened.manifest.model.content_hash


def test_the_index_reports_its_plans_and_the_recall_of_live_queries(root, caplog):
    async def scenario(client, engine):
        for text in (f"w{i} w{i + 1} w{i + 2}" for i in range(60)):
            await client.post("/v1/search", json={"query": text})
            assert engine.index.watch.wait(10)
        facts = (await client.get("/v1/index")).raise_for_status().json()
        assert [plan["recall_low"] for plan in facts["calibration"]["plans"]] == [0.998]
        watched = facts["recall_watch"]
        (level,) = watched["levels"]
        assert watched["sampled"] >= level["overall"]["queries"] >= 60
        assert (watched["generation"], watched["confidence"], watched["dropped"]) == ("000001", 0.95, 0)
        assert level["promised"] == 0.998
        assert level["recent"]["low"] < level["recent"]["recall"] < level["recent"]["high"] < 0.998
        assert watched["alarm"]
        assert level["alarm"]
        assert "below the promise" in level["message"]

    # Ten candidates by half the dimensions do not hold nearly all of the ten nearest.
    write_plans(root, (10, 0.998, 0.1))
    serve(root, scenario, watch_share=1, watch_budget=1)
    assert caplog.text.count("below the promise") == 1
    assert list((root / "watch").glob("000001-*.json"))


def test_a_reload_serves_the_published_generation(root):
    async def scenario(client, engine):
        assert (await client.post("/v1/index/reload")).json() == {"generation": "000001", "changed": False}
        assert build_again(root, 50) == "000002"
        assert (await client.get("/v1/index")).json()["documents"] == 1000, "nothing is followed unless asked"
        assert (await client.post("/v1/index/reload")).json() == {"generation": "000002", "changed": True}
        assert (await client.get("/v1/index")).json()["documents"] == 50
        hits = (await client.post("/v1/search", json={"query": "w1 w2"})).json()["results"]
        assert all(hit["id"].startswith("n") for hit in hits)

    serve(root, scenario)


def test_a_rollback_goes_back_and_forward(root):
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


def test_a_rollback_without_an_earlier_generation_is_refused(root):
    async def scenario(client, engine):
        refused = await client.post("/v1/index/rollback")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "cannot_roll_back")
        assert "no earlier generation" in refused.json()["error"]["message"]

    serve(root, scenario)
