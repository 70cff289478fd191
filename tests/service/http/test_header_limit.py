import socket
from contextlib import suppress

import pytest

from service.http.header_limit import MAX_HEADER_BYTES
from tests.service.sockets import talk


@pytest.mark.parametrize(
    "start",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ",
        b"GET /",
        b"POST /v1/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
    ],
    ids=["header", "path", "trailer"],
)
def test_endless_headers_are_cut_off(address, start):
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


def test_long_headers_are_answered_431(address):
    answer = talk(address, b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * (MAX_HEADER_BYTES + 1))
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert answer.endswith(b"the request line and headers are too large")


def test_many_headers_and_a_large_body_are_fine(client):
    headers = {f"X-{i}": "v" * 90 for i in range(300)}
    answer = client.post("/v1/search", json={"query": "w1", "queries": None}, headers=headers)
    assert answer.status_code == 200
    large = client.post("/v1/search", json={"queries": ["w1 " * 6000] * 256})
    assert large.status_code == 200
    chunks = (b" " * 10 for _ in range(20_000))
    assert client.post("/v1/search", content=chunks).status_code == 422
