"""Spans, by the real OpenTelemetry."""

import asyncio
import sys

import httpx
import pytest

from models import OptionalDependencyError
from service import Settings, create_app

trace = pytest.importorskip("opentelemetry.trace", reason="the extra traces is not installed")
pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="the extra traces is not installed")


@pytest.fixture(scope="module")
def exporter():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def test_a_search_is_a_span_of_its_request_and_has_its_stages(built, exporter):
    exporter.clear()
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    async def go():
        app = create_app(Settings(index=built, auth="off", traces=True, watch_share=0, follow_seconds=0))
        await app.state.engine.load()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            parent = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
            body = {"query": "w1 w2", "candidates": 40}
            (await client.post("/v1/search", json=body, headers=parent)).raise_for_status()
            await client.get("/readyz")
        await app.state.engine.close()

    asyncio.run(go())
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {"POST /v1/search", "search", "encode", "shortlist", "rerank", "documents"} == spans.keys()
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {trace_id}
    assert spans["search"].parent.span_id == spans["POST /v1/search"].context.span_id
    assert spans["shortlist"].parent.span_id == spans["search"].context.span_id
    assert spans["shortlist"].attributes["out"] == 40
    assert spans["search"].attributes["candidates"] == 40
    assert spans["search"].start_time <= spans["encode"].start_time <= spans["shortlist"].start_time
    assert spans["documents"].end_time <= spans["search"].end_time + 1000


def test_a_missing_library_is_named(built, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.fastapi", None)
    with pytest.raises(OptionalDependencyError, match=r"opentelemetry.*pip install 'adaptive-retrieval\[traces\]'"):
        create_app(Settings(index=built, auth="off", traces=True))
