import asyncio
import re

from service import Settings, create_app
from tests.service.applications import serve


def value(text, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not in\n{text}"
    return float(found[1])


def test_requests_and_searches_are_counted(root):
    async def scenario(client, engine):
        for _ in range(3):
            await client.post("/v1/search", json={"query": "w1 w2"})
        await client.post("/v1/search", json={"query": 5})
        await client.get("/nothing/here")
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = answer.text
        count = 'mrl_request_seconds_count{method="POST",route="/v1/search",status="%d"}'
        assert value(text, count % 200) == 3
        assert value(text, count % 422) == 1
        assert value(text, 'mrl_request_seconds_count{method="GET",route="none",status="404"}') == 1
        assert value(text, 'mrl_stage_seconds_count{stage="shortlist"}') == 3
        assert value(text, "mrl_generation") == 1
        assert value(text, "mrl_documents") == 1000
        assert value(text, "mrl_disk_free_bytes") > 0
        assert value(text, "mrl_pending_requests") == 0
        assert value(text, "process_resident_memory_bytes") > 1e6

    serve(root, scenario)


def test_live_recall_is_exposed(root):
    async def scenario(client, engine):
        for i in range(20):
            await client.post("/v1/search", json={"query": f"w{i}", "candidates": 50})
        assert engine.index.watch.wait(20)
        text = (await client.get("/metrics")).text
        assert re.search(r'^mrl_live_recall\{promised="[^"]+"\} (1\.0|0\.\d+)$', text, re.MULTILINE)
        assert re.search(r'^mrl_live_recall_alarm\{promised="[^"]+"\} 0\.0$', text, re.MULTILINE)

    serve(root, scenario, watch_share=1, watch_budget=1)


def test_there_are_no_index_metrics_before_the_index_is_open(root):
    app = create_app(Settings(index=root, auth="off"))
    assert b"mrl_generation" not in app.state.engine.metrics.text()
    asyncio.run(app.state.engine.close())
