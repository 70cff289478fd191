"""Runs the application under uvicorn."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import httpx
import uvicorn

from service.app import create_app
from service.engine.engine import Engine
from service.http.header_limit import HeaderLimitProtocol
from service.security.tls import check_tls
from service.settings import Settings
from service.telemetry.logs import log_config


def uvicorn_config(settings: Settings, app: object) -> uvicorn.Config:
    """Return how uvicorn runs an application.

    Raises:
        InvalidOptionError: the TLS certificate or its key cannot be used.
    """
    check_tls(settings)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        # Frame writes the access log, without queries.
        access_log=False,
        log_config=log_config(settings),
        log_level=settings.log_level,
        http=HeaderLimitProtocol,
        ws="none",
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        server_header=False,
    )


class DrainingServer(uvicorn.Server):
    """A server that reports unready for ``drain_seconds`` before it stops, so that load balancers move traffic away."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal; stop at once on the second."""
        seconds = self._engine.settings.drain_seconds
        if seconds and not self._engine.draining and self._engine.ready:
            self._engine.draining = True
            stop = threading.Timer(seconds, super().handle_exit, (sig, frame))
            stop.daemon = True
            stop.start()
        else:
            super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish open requests.

    Raises:
        AdaptiveRetrievalError: the index cannot be opened, or a setting cannot be applied.
    """

    def stop() -> None:
        server.should_exit = True

    app = create_app(settings, on_failure=stop)
    server = DrainingServer(uvicorn_config(settings, app), app.state.engine)
    server.run()
    if app.state.engine.failure is not None:
        raise app.state.engine.failure


@contextmanager
def running(settings: Settings, timeout: float = 60.0) -> Iterator[str]:
    """Serve on a thread while the block runs; yield the base URL once the service is ready.

    Raises:
        AdaptiveRetrievalError: the index cannot be opened.
        TimeoutError: the service is not ready after ``timeout`` seconds.
    """
    app = create_app(settings)
    server = uvicorn.Server(uvicorn_config(settings, app))
    with socket.create_server((settings.host, settings.port)) as listener:
        # Trust the service's own certificate, whoever signed it.
        trust = ssl.create_default_context(cafile=settings.tls_certificate) if settings.tls_certificate else True
        scheme = "https" if settings.tls_certificate else "http"
        url = f"{scheme}://{settings.host}:{listener.getsockname()[1]}"
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
            httpx.get(f"{url}/readyz", timeout=timeout, trust_env=False, verify=trust).raise_for_status()
            yield url
        finally:
            server.should_exit = True
            thread.join()
