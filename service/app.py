"""The application factory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_swagger import patch_fastapi

from service.engine.engine import Engine
from service.errors import install_error_handlers
from service.http.body_limit import BodyLimit
from service.http.cors import cors_options
from service.http.frame import Frame
from service.routes import classify, documents, embeddings, generations, health, page, search
from service.security.auth import Auth, document_security
from service.security.key_ring import KeyRing
from service.settings import Settings
from service.telemetry.traces import Traces


def create_app(settings: Settings | None = None, on_failure: Callable[[], None] = lambda: None) -> FastAPI:
    """Create the ASGI application.

    It opens the index in the background when the server starts it; until then searches get 503, and so does
    ``/readyz``. To run it under another server than ``mrl serve``::

        # serving.py, run with: uvicorn serving:app
        from service import Settings, create_app

        app = create_app(Settings(index="/data/index", keys="/data/keys.json"))

    Args:
        settings: read from the environment if None.
        on_failure: called if the index cannot be opened; the reason is ``app.state.engine.failure``.

    Raises:
        InvalidOptionError: no API key is configured, or one that is easy to guess.
        DataError: a key file cannot be used.
        OptionalDependencyError: ``traces`` is on, and OpenTelemetry is not installed.
    """
    engine = Engine(settings or Settings())

    async def load() -> None:
        await engine.load()
        if engine.failure:
            on_failure()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In the background, so that /healthz answers while a large index is read.
        loading = asyncio.create_task(load())
        yield
        if engine.settings.wait and not engine.ready:
            loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        await engine.close()

    app = FastAPI(
        title="Adaptive retrieval",
        summary="Search coarse-to-fine over Matryoshka embeddings.",
        version=version("adaptive-retrieval"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.engine = engine
    install_error_handlers(app)
    # Middleware added first is innermost.
    app.add_middleware(BodyLimit, limit=engine.settings.max_body_bytes)
    if engine.settings.auth == "keys":
        app.add_middleware(Auth, ring=KeyRing.from_settings(engine.settings))
        document_security(app)
    if engine.settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors_options(engine.settings.cors_origins))
    if engine.settings.traces:
        engine.traces = Traces(app)
    app.add_middleware(
        Frame, settings=engine.settings, metrics=engine.metrics, retry_after=lambda: engine.reads.retry_after
    )
    for routes in (search, embeddings, classify, documents, generations, health, page):
        app.include_router(routes.router)
    app.mount("/static", page.PageFiles(directory=page.WEB), name="static")
    # The framework's own page loads its scripts from a CDN; this package ships them. Settings keep their defaults
    # otherwise, because persistAuthorization would store the API key in the browser.
    patch_fastapi(
        app, redirect_from_root_to_docs=False, swagger_ui_parameters={"tryItOutEnabled": True, "filter": True}
    )
    return app
