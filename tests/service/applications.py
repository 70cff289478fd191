"""The application without a server and without an index: what comes before the routes can be tested by it."""

import asyncio
from pathlib import Path

import httpx

from service import Settings, create_app


def ask(*requests, app=None, **settings):
    """Send requests, (method, path, headers) each, one after the other; return the answers.

    Without an index, a request that reaches a route of ``/v1`` is answered 503.
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
