from tests.service.applications import error_of, serve


def test_health(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_not_ready_is_told_apart_from_dead(built):
    async def scenario(client, engine):
        assert (await client.get("/healthz")).status_code == 200
        for response in (await client.get("/readyz"), await client.post("/v1/search", json={"query": "a"})):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert error_of(response)["code"] == "not_ready"
        await engine.load()
        assert (await client.get("/readyz")).status_code == 200

    serve(built, scenario, load=False)
