import pytest

from service.http.security_headers import SecurityHeaders
from tests.service.applications import ask


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/docs", "/healthz", "/v1/index", "/nope"])
def test_every_response_has_the_security_headers_once(path):
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


def test_only_a_service_with_tls_tells_browsers_to_use_it():
    plain, secure = (dict(SecurityHeaders(tls=tls).of("/v1/search")) for tls in (False, True))
    assert secure.pop(b"strict-transport-security") == b"max-age=31536000"
    assert secure == plain
    assert plain[b"cache-control"] == b"no-store"
    assert b"cache-control" not in dict(SecurityHeaders(tls=True).of("/static/page.js"))
