from tests.service.applications import error_of, serve


def test_health(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_not_ready_differs_from_dead(built):
    async def scenario(client, engine):
        assert (await client.get("/healthz")).status_code == 200
        for response in (await client.get("/readyz"), await client.post("/v1/search", json={"query": "a"})):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert error_of(response)["code"] == "not_ready"
        await engine.load()
        assert (await client.get("/readyz")).status_code == 200

    serve(built, scenario, load=False)


def test_a_draining_service_is_unready_and_alive(built):
    async def scenario(client, engine):
        engine.draining = True
        refused = await client.get("/readyz")
        assert (refused.status_code, error_of(refused)["code"]) == (503, "draining")
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "mrl_generation 1.0" in metrics.text

    serve(built, scenario)
