import pytest

from tests.service.applications import ask

PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


def test_it_is_off_by_default():
    for answer in ask(("OPTIONS", "/v1/search", PREFLIGHT), ("GET", "/healthz", PREFLIGHT)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origins", ["https://app.example", "*"])
def test_a_page_of_an_allowed_origin_may_call_with_a_key_and_without_credentials(origins):
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


def test_another_origin_may_not():
    other = {**PREFLIGHT, "Origin": "https://evil.example"}
    preflight, answer = ask(
        ("OPTIONS", "/v1/search", other), ("GET", "/healthz", other), cors_origins=("https://app.example",)
    )
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
