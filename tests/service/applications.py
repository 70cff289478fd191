"""Runs the application in this process: without a server, and without an index if none is needed."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx

from indexer import CalibratedPlan, CalibrationFacts, Corpus, FunnelStage, Index, Manifest, build_index
from models import load_encoder
from service import Settings, create_app
from tests.conftest import make_texts, write_lines


def ask(*requests, app=None, **settings):
    """Send requests, (method, path, headers) each, one after the other; return the responses.

    There is no index: a request that reaches a route of ``/v1`` gets 503.
    """
    app = app or create_app(Settings(index=Path("/no/index"), **{"auth": "off", **settings}))

    async def go():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.request(method, path, **more) for method, path, more in map(_filled, requests)]

    return asyncio.run(go())


def _filled(request):
    method, path, headers = (*request, {})[:3]
    body = {"json": {"query": "w1"}} if path == "/v1/search" and method == "POST" else {}
    return method, path, {"headers": headers, **body}


def serve(index, scenario, *, load=True, **settings):
    """Run ``scenario(client, engine)`` with an application that serves an index, opened first if ``load``."""

    async def go():
        app = create_app(Settings(index=index, **{"watch_share": 0, "auth": "off", "follow_seconds": 0, **settings}))
        engine = app.state.engine
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            if load:
                await engine.load()
            try:
                await asyncio.wait_for(scenario(client, engine), 60)
            finally:
                await engine.close()

    asyncio.run(go())


async def until(condition):
    """Wait until an asynchronous condition holds."""
    while not await condition():
        await asyncio.sleep(0.02)


def error_of(response):
    """Check the envelope of an error and return its content."""
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "code", "message", "param"}
    return body["error"]


def build_again(root, count):
    """Publish a generation of other documents; return its name."""
    texts = make_texts(count, seed=5)
    corpus = write_lines(root.parent / "more.jsonl", [{"_id": f"n{i}", "text": text} for i, text in enumerate(texts)])
    with Index.open(root) as index:
        model = index.manifest.model.name
    return build_index(Corpus([corpus]), load_encoder(model), root).generation


def write_plans(root, *bounds):
    """Give an index a calibrated plan for each (candidates, recall_low, milliseconds); without any, no calibration."""
    folder = root / "generations" / "000001"
    manifest = Manifest.read(folder)
    plans = tuple(
        CalibratedPlan(
            k=10,
            structure=manifest.shortlist.kind,
            dims=manifest.shortlist.dims,
            candidates=candidates,
            effort=None,
            stages=(FunnelStage(32, 10),),
            recall=recall_low + 0.001,
            recall_low=recall_low,
            milliseconds=milliseconds,
        )
        for candidates, recall_low, milliseconds in bounds
    )
    facts = CalibrationFacts(
        created=datetime.now(UTC),
        queries="sampled",
        kinds={"documents": 100},
        confidence=0.95,
        cores=1,
        seconds=1.0,
        plans=plans,
    )
    manifest.model_copy(update={"calibration": facts if plans else None}).write(folder)


def search(client, **body):
    """Search; return the answer."""
    return client.post("/v1/search", json=body).raise_for_status().json()


def refused(client, **body):
    """Send a search that is refused with 422; return the error."""
    response = client.post("/v1/search", json=body)
    assert response.status_code == 422
    return error_of(response)
