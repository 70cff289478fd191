import asyncio
import shutil
import socket
import ssl
import subprocess
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.errors import InvalidOptionError
from service import Settings
from service.http.frame import Frame
from service.http.header_limit import MAX_HEADER_BYTES
from service.http.server import running
from service.security.tls import check_tls
from service.telemetry.metrics import Metrics
from tests.service.applications import ask
from tests.service.test_http import error_of


@pytest.fixture(scope="module")
def address(url):
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def talk(address, sent, patience=10):
    """Send bytes and return what comes back until the service closes, or says nothing for so many seconds."""
    received = b""
    with socket.create_connection(address, timeout=patience) as connection, suppress(TimeoutError, ConnectionError):
        connection.sendall(sent)
        while got := connection.recv(65536):
            received += got
    return received


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/static/page.js", "/docs", "/healthz", "/v1/index", "/nope"])
    def test_every_answer_has_the_security_headers_once(self, path):
        (answer,) = ask(("GET", path))
        for name, value in (
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ):
            assert answer.headers.get_list(name) == [value]
        stored = answer.headers.get_list("cache-control")
        assert stored == ["no-store"] if path.startswith("/v1") else "no-store" not in stored
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers

    def test_a_failure_after_the_answer_began_is_not_answered_again(self, caplog):
        async def fails(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise RuntimeError("too late")

        sent = []

        async def send(message):
            sent.append(message)

        frame = Frame(fails, Settings(index="x", auth="off"), Metrics(), lambda: None)
        with pytest.raises(RuntimeError, match="too late"):
            asyncio.run(frame({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send))
        assert [message["type"] for message in sent] == ["http.response.start"]
        assert "GET / failed" in caplog.text


class TestHosts:
    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("search.example.com", 404),
            ("SEARCH.example.com:8000", 404),
            ("a.inner.example", 404),
            ("inner.example", 400),
            ("example.com", 400),
            ("search.example.com.evil.org", 400),
            ("", 400),
        ],
    )
    def test_only_the_given_ones_are_served(self, host, status):
        hosts = "search.example.com, *.inner.example"
        answer, probe = ask(("GET", "/x", {"Host": host}), ("GET", "/healthz", {"Host": host}), allowed_hosts=hosts)
        assert answer.status_code == status
        assert error_of(answer)["code"] == ("unknown_host" if status == 400 else "not_found")
        assert probe.status_code == 200


PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


class TestCors:
    def test_it_is_off_by_default(self):
        for answer in ask(("OPTIONS", "/v1/search", PREFLIGHT), ("GET", "/healthz", PREFLIGHT)):
            assert not [name for name in answer.headers if name.startswith("access-control")]

    @pytest.mark.parametrize("origins", ["https://app.example", "*"])
    def test_a_page_of_an_allowed_origin_may_call_with_a_key_and_without_credentials(self, origins):
        given = {"auth": "keys", "api_key": "k7Qw-29_fhZpL0mXbT4sVd", "cors_origins": origins}
        origin = {"Origin": "https://app.example"}
        preflight, refused = ask(("OPTIONS", "/v1/search", PREFLIGHT), ("POST", "/v1/search", origin), **given)
        assert preflight.status_code == 200, "a browser sends no key with it"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        assert refused.status_code == 401
        for answer in (preflight, refused):
            assert answer.headers["access-control-allow-origin"] in ("*", "https://app.example")
            assert "access-control-allow-credentials" not in answer.headers
        assert "X-Request-Id" in refused.headers["access-control-expose-headers"]

    def test_another_origin_may_not(self):
        other = {**PREFLIGHT, "Origin": "https://evil.example"}
        preflight, answer = ask(
            ("OPTIONS", "/v1/search", other), ("GET", "/healthz", other), cors_origins=("https://app.example",)
        )
        assert preflight.status_code == 400
        assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://*.example", "null"])
    def test_what_is_no_origin_is_refused(self, origin):
        with pytest.raises(ValidationError, match="give origins such as"):
            Settings(index="x", cors_origins=origin)

    def test_lists_come_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("MRL_CORS_ORIGINS", "https://a.example, http://b.example:3000")
        monkeypatch.setenv("MRL_ALLOWED_HOSTS", "a.example")
        read = Settings(index="x")
        assert read.cors_origins == ("https://a.example", "http://b.example:3000")
        assert read.allowed_hosts == ("a.example",)
        assert Settings(index="x", allowed_hosts=["a", "b,c"]).allowed_hosts == ("a", "b", "c")


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/static/..%2fapp.py",
            "/static/%2e%2e/app.py",
            "/static/../app.py",
            "/static//etc/passwd",
            "/static/%2fetc%2fpasswd",
            "/static/page.js%00.css",
            "/static/..%5c..%5capp.py",
            "/static/" + "a" * 5000,
            "/static/%ff%fe",
            "/v1/documents/..%2f..%2f..%2fetc%2fpasswd",
            "/v1/documents/../../etc/passwd",
            "/v1/documents/%00",
            "/v1/documents/a%00b",
            "/v1/documents/%ed%a0%80",
            "/v1/documents/" + "a" * 5000,
        ],
    )
    def test_no_path_reaches_a_file(self, address, path):
        answer = talk(address, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.split()[1] in (b"404", b"405", b"422"), answer[:300]
        assert b"root:" not in answer
        assert b"create_app" not in answer


class TestHttp:
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
    def test_what_is_no_http_is_answered_400_and_closed(self, address, request_bytes):
        answer = talk(address, request_bytes)
        assert answer.split(b"\r\n")[0].split()[1] in (b"400", b"422"), answer

    @pytest.mark.parametrize(
        "start",
        [
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ",
            b"GET /",
            b"POST /v1/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
        ],
        ids=["header", "path", "trailer"],
    )
    def test_a_head_without_an_end_is_cut_off(self, address, start):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(start)
            # More than the bound and what one read may bring before it counts.
            for _ in range(8 * MAX_HEADER_BYTES // 8192):
                with suppress(ConnectionError):
                    connection.sendall(b"a" * 8192)
            answer = b""
            with suppress(ConnectionError):
                while got := connection.recv(65536):  # ends only when the service closes
                    answer += got
        assert answer == b"" or b"HTTP/1.1 431 " in answer, "empty where the reset overtook it"

    def test_a_long_head_is_told_that_it_is(self, address):
        answer = talk(address, b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * (MAX_HEADER_BYTES + 1))
        assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert answer.endswith(b"the request line and headers are too large")

    def test_many_headers_and_a_large_body_are_fine(self, client):
        headers = {f"X-{i}": "v" * 90 for i in range(300)}
        answer = client.post("/v1/search", json={"query": "w1", "queries": None}, headers=headers)
        assert answer.status_code == 200
        large = client.post("/v1/search", json={"queries": ["w1 " * 6000] * 256})
        assert large.status_code == 200
        chunks = (b" " * 10 for _ in range(20_000))
        assert client.post("/v1/search", content=chunks).status_code == 422

    def test_an_upgrade_is_not_followed(self, address):
        head = b"GET /v1/index HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        more = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        assert talk(address, head + more, patience=0.5).startswith(b"HTTP/1.1 200 ")

    @settings(max_examples=40)
    @given(st.binary(max_size=200), st.booleans())
    def test_no_bytes_give_a_server_error(self, address, sent, plausible):
        if plausible:
            sent = b"POST /v1/search HTTP/1.1\r\nHost: x\r\n" + sent
        assert not talk(address, sent + b"\r\n\r\n", patience=0.05).startswith(b"HTTP/1.1 5")


class TestBodies:
    @pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"query": "a", "filter": {"n": ' + b"["])
    def test_a_body_nested_without_end_is_refused(self, client, opening):
        answer = client.post("/v1/search", content=opening * 100_000)
        assert answer.status_code in (400, 422)
        error_of(answer)

    @pytest.mark.parametrize(
        ("condition", "message"),
        [
            ({"n": {"$in": list(range(1001))}}, "lists 1001 values"),
            ({"$or": [{"n": i} for i in range(300)]}, "more than 256 conditions"),
            (
                {"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{}]}]}]}]}]}]}]}]},
                "8 levels",
            ),
        ],
    )
    def test_a_large_filter_is_refused(self, client, condition, message):
        answer = client.post("/v1/search", json={"query": "a", "filter": condition})
        assert (answer.status_code, error_of(answer)["param"]) == (422, "filter")
        assert message in error_of(answer)["message"]

    def test_a_long_vector_is_refused(self, client):
        answer = client.post("/v1/search", json={"vector": [0.5] * 100_000})
        assert answer.status_code == 422
        assert len(answer.content) < 1000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "other"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )
    subprocess.run(
        [
            *("openssl", "ec", "-in", folder / "one.key", "-aes256", "-passout", "pass:word"),
            *("-out", folder / "locked.key"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


class TestTls:
    def test_it_is_served_with_hsts(self, certificate, built):
        files = {"tls_certificate": certificate / "one.pem", "tls_key": certificate / "one.key"}
        served = Settings(index=built, port=0, auth="off", log_level="warning", watch_share=0, **files)
        trust = ssl.create_default_context(cafile=certificate / "one.pem")
        with running(served) as url:
            assert url.startswith("https://127.0.0.1:")
            answer = httpx.get(f"{url}/v1/index", verify=trust, trust_env=False)
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            with pytest.raises(httpx.HTTPError):
                httpx.get(url.replace("https", "http"), trust_env=False)

    @pytest.mark.parametrize(
        ("certificate_file", "key_file", "param", "message"),
        [
            ("one.pem", None, "tls_key", "tls_certificate is given without tls_key"),
            (None, "one.key", "tls_certificate", "tls_key is given without tls_certificate"),
            ("none.pem", "one.key", "tls_certificate", "No such file"),
            ("one.pem", "none.key", "tls_key", "No such file"),
            ("one.pem", "other.key", "tls_certificate", "the key does not belong to the certificate"),
            ("one.key", "one.key", "tls_certificate", "not a certificate and a key in PEM format"),
            ("one.pem", "locked.key", "tls_key", "is encrypted: give a key without a password"),
        ],
    )
    def test_what_cannot_be_served_is_refused_at_start(self, certificate, certificate_file, key_file, param, message):
        paths = [name and certificate / name for name in (certificate_file, key_file)]
        with pytest.raises(InvalidOptionError, match=message) as refused:
            check_tls(Settings(index="x", tls_certificate=paths[0], tls_key=paths[1]))
        assert refused.value.param == param
