"""The application factory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_swagger import patch_fastapi

from service import errors
from service.engine.engine import Engine
from service.http.body_limit import BodyLimit
from service.http.frame import Frame
from service.routes import classify, documents, embeddings, generations, health, page, search
from service.security import auth
from service.security.key_ring import KeyRing
from service.settings import Settings
from service.telemetry.traces import Traces


def create_app(settings: Settings | None = None, on_failure: Callable[[], None] = lambda: None) -> FastAPI:
    """Make the application.

    Args:
        settings: read from the environment where None.
        on_failure: called when the index cannot be opened; the reason is ``app.state.engine.failure``.

    Raises:
        InvalidOptionError: no API key is given, or one that is easy to guess.
        DataError: a file of keys cannot be used.
    """
    engine = Engine(settings or Settings())

    async def load() -> None:
        await engine.load()
        if engine.failure:
            on_failure()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In the background: the process is alive, and says so, while a large index is read.
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
    errors.install(app)
    # The first is the innermost.
    app.add_middleware(BodyLimit, limit=engine.settings.max_body_bytes)
    if engine.settings.auth == "keys":
        app.add_middleware(auth.Auth, ring=KeyRing.of(engine.settings))
        auth.describe(app)
    if engine.settings.cors_origins:
        app.add_middleware(CORSMiddleware, **auth.cors(engine.settings.cors_origins))
    if engine.settings.traces:
        engine.traces = Traces(app)
    app.add_middleware(Frame, settings=engine.settings, metrics=engine.metrics, full=lambda: engine.reads.full)
    for routes in (search, embeddings, classify, documents, generations, health, page):
        app.include_router(routes.router)
    app.mount("/static", page.PageFiles(directory=page.WEB), name="static")
    # The framework's own page loads its scripts from a network of others; this one ships them.
    # By default it would keep the API key typed into it in the browser.
    patch_fastapi(
        app, redirect_from_root_to_docs=False, swagger_ui_parameters={"tryItOutEnabled": True, "filter": True}
    )
    return app
