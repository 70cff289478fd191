import asyncio
import signal
import threading
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from indexer import BundleNotFoundError
from service import Settings, create_app
from service.http.server import DrainingServer, running, serve, uvicorn_config
from tests.service.sockets import talk


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /v1/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
)
def test_invalid_http_gets_400_and_is_closed(address, request_bytes):
    answer = talk(address, request_bytes)
    assert answer.split(b"\r\n")[0].split()[1] in (b"400", b"422"), answer


def test_an_upgrade_is_not_followed(address):
    head = b"GET /v1/index HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    more = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    assert talk(address, head + more, patience=0.5).startswith(b"HTTP/1.1 200 ")


@runs(max_examples=40)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_give_a_server_error(address, sent, plausible):
    if plausible:
        sent = b"POST /v1/search HTTP/1.1\r\nHost: x\r\n" + sent
    assert not talk(address, sent + b"\r\n\r\n", patience=0.05).startswith(b"HTTP/1.1 5")


def test_a_stopping_service_is_unready_first_and_answers_to_the_end(root):
    settings = Settings(index=root, auth="off", port=0, drain_seconds=0.5, watch_share=0, log_level="warning")
    app = create_app(settings)
    server = DrainingServer(uvicorn_config(settings, app), app.state.engine)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not (server.started and app.state.engine.ready):
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert client.get("/readyz").status_code == 200
            server.handle_exit(signal.SIGTERM, None)
            refused = client.get("/readyz")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
            assert client.post("/v1/search", json={"query": "w1"}).status_code == 200
            assert client.get("/healthz").status_code == 200
            thread.join(20)
            assert not thread.is_alive()
    finally:
        server.should_exit = True
        thread.join()


QUIET = {"port": 0, "auth": "off", "log_level": "critical", "watch_share": 0}


def test_a_service_that_cannot_open_its_index_ends_with_the_reason(tmp_path):
    with pytest.raises(BundleNotFoundError, match="no index is published"):
        serve(Settings(index=tmp_path, **QUIET))


def test_a_service_that_was_stopped_ends_quietly(tmp_path, monkeypatch):
    monkeypatch.setattr(DrainingServer, "run", lambda server: None)
    serve(Settings(index=tmp_path, **QUIET))


def test_without_draining_and_at_a_second_signal_a_server_stops_at_once(root):
    for seconds, signals in ((0, 1), (60, 2)):
        settings = Settings(index=root, drain_seconds=seconds, **QUIET)
        app = create_app(settings)
        engine = app.state.engine
        server = DrainingServer(uvicorn_config(settings, app), engine)

        async def stop(engine=engine, server=server, signals=signals):
            await engine.load()
            for _ in range(signals):
                assert not server.should_exit
                server.handle_exit(signal.SIGTERM, None)
            await engine.close()

        asyncio.run(stop())
        assert server.should_exit
        assert engine.draining is bool(seconds)


def test_running_raises_what_keeps_the_index_from_being_opened(tmp_path):
    with pytest.raises(BundleNotFoundError, match="no index is published"), running(Settings(index=tmp_path, **QUIET)):
        pass


def test_running_gives_up_after_its_timeout(tmp_path):
    settings = Settings(index=tmp_path, wait=True, follow_seconds=0.05, **QUIET)
    with pytest.raises(TimeoutError, match=r"was not ready after 0 seconds"), running(settings, timeout=0.1):
        pass
