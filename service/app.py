"""The application factory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_swagger import patch_fastapi

from service import errors
from service.engine import Engine
from service.limits import BodyLimit
from service.routes import health, page, search
from service.settings import Settings


def create_app(settings: Settings | None = None, on_failure: Callable[[], None] = lambda: None) -> FastAPI:
    """Make the application.

    Args:
        settings: read from the environment where None.
        on_failure: called when the index cannot be opened; the reason is ``app.state.engine.failure``.
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
    app.add_middleware(BodyLimit, limit=engine.settings.max_body_bytes)
    for router in (search.router, health.router, page.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=page.WEB), name="static")
    # The framework's own page loads its scripts from a network of others; this one ships them.
    patch_fastapi(app, redirect_from_root_to_docs=False)
    return app
