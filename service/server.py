"""Running the application under uvicorn."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from service.app import create_app
from service.settings import Settings


def _config(settings: Settings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        access_log=settings.access_log,
        log_level=settings.log_level,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        server_header=False,
    )


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, then let open requests end.

    Raises:
        AdaptiveRetrievalError: the index cannot be opened.
    """

    def stop() -> None:
        server.should_exit = True

    app = create_app(settings, on_failure=stop)
    server = uvicorn.Server(_config(settings, app))
    server.run()
    if app.state.engine.failure is not None:
        raise app.state.engine.failure


@contextmanager
def running(settings: Settings, timeout: float = 60.0) -> Iterator[str]:
    """Serve on a thread while the block runs, and yield the base URL once the service is ready.

    Raises:
        AdaptiveRetrievalError: the index cannot be opened.
        TimeoutError: not ready in ``timeout`` seconds.
    """
    app = create_app(settings)
    server = uvicorn.Server(_config(settings, app))
    with socket.create_server((settings.host, settings.port)) as listener:
        url = f"http://{settings.host}:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        try:
            deadline = time.monotonic() + timeout
            while not app.state.engine.ready:
                if app.state.engine.failure is not None:
                    raise app.state.engine.failure
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{url} was not ready after {timeout:.0f} seconds")
                time.sleep(0.02)
            httpx.get(f"{url}/readyz", timeout=timeout, trust_env=False).raise_for_status()
            yield url
        finally:
            server.should_exit = True
            thread.join()
