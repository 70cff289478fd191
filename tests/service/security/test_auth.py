import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi.routing import APIRoute

from models.errors import InvalidOptionError
from service import Settings, create_app
from service.http.server import running
from service.security.auth import OPEN_PATHS, OPEN_PREFIXES, ROUTE_SCOPES, required_scope
from service.security.keys import create_key, revoke_key
from tests.service.applications import ask, error_of


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return {
        "file": file,
        "read": create_key(file, "reader", ["read"]),
        "write": create_key(file, "writer", ["write"]),
        "both": create_key(file, "both", ["read", "write"]),
        "old": create_key(file, "old", ["read", "write"], datetime.now(UTC) - timedelta(seconds=1)),
    }


@pytest.fixture(scope="module")
def app(keys):
    return create_app(Settings(index="/no/index", keys=keys["file"]))


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_without_a_key_it_does_not_start(mrl, built):
    with pytest.raises(InvalidOptionError, match="no API key is given"):
        create_app(Settings(index="/no/index"))
    status, _, err = mrl("serve", built)
    assert status == 1
    assert "mrl keys create" in err
    assert "--auth off" in err


@pytest.mark.parametrize(
    "headers",
    [
        lambda key: {"Authorization": f"Bearer {key}"},
        lambda key: {"authorization": f"bearer  {key} "},
        lambda key: {"X-API-Key": key},
        lambda key: {"Authorization": "Basic abc", "X-API-Key": key},
    ],
)
def test_a_key_is_accepted_in_either_header(app, keys, headers):
    (answer,) = ask(("POST", "/v1/search", headers(keys["read"])), app=app)
    assert error_of(answer)["code"] == "not_ready", "it reached the route"


@pytest.mark.parametrize(
    ("headers", "code", "challenge"),
    [
        ({}, "missing_key", "Bearer"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "missing_key", "Bearer"),
        ({"Authorization": "Bearer "}, "invalid_key", 'Bearer error="invalid_token"'),
        ({"X-API-Key": ""}, "invalid_key", 'Bearer error="invalid_token"'),
        ({"Authorization": "Bearer mrl_wrong"}, "invalid_key", 'Bearer error="invalid_token"'),
        ({"Authorization": b"Bearer \xff\xfe"}, "invalid_key", 'Bearer error="invalid_token"'),
    ],
)
def test_without_a_valid_key_401(app, headers, code, challenge):
    for method, path in ROUTE_SCOPES:
        (answer,) = ask((method, path, headers), app=app)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == challenge
        error = error_of(answer)
        assert error["code"] == code
        assert "wrong" not in error["message"], "a key is never repeated"


def test_an_expired_key_is_refused_as_such(app, keys):
    (answer,) = ask(("GET", "/v1/index", bearer(keys["old"])), app=app)
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "expired_key"
    assert "'old' expired at 20" in error_of(answer)["message"]


@pytest.mark.parametrize(("method", "path"), ROUTE_SCOPES)
def test_each_route_needs_its_scope(app, keys, method, path):
    needed = ROUTE_SCOPES[method, path]
    other = "write" if needed == "read" else "read"
    path = path.replace("{id}", "a/b")
    refused, passed, both = ask(*((method, path, bearer(keys[name])) for name in (other, needed, "both")), app=app)
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{needed}"'
    assert f"{method} {path} requires an API key with scope {needed}" in error_of(refused)["message"]
    assert {passed.status_code, both.status_code}.isdisjoint({401, 403})


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")  # by fastapi_swagger
@pytest.mark.parametrize("path", [*OPEN_PATHS, "/static/page.js", "/swagger/swagger-ui.css"])
def test_open_paths_need_no_key(app, path):
    (answer,) = ask(("GET", path), app=app)
    assert answer.status_code == (503 if path == "/readyz" else 200)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("GET", "/v1/nope"),
        ("GET", "/v1/search"),
        ("POST", "/v1/search/"),
        ("PATCH", "/v1/documents/1"),
        ("GET", "/nope"),
        ("GET", "/%2Fhealthz"),
        ("GET", "/static"),
        ("GET", "/healthz/x"),
        ("OPTIONS", "/v1/search"),
        ("HEAD", "/v1/index"),
    ],
)
def test_unlisted_routes_need_write(app, keys, method, path):
    assert required_scope(method, path.replace("%2F", "/")) == "write"
    without, reader, writer = ask(
        (method, path), *((method, path, bearer(keys[n])) for n in ("read", "write")), app=app
    )
    assert (without.status_code, reader.status_code) == (401, 403)
    assert writer.status_code in (307, 404, 405)


def test_every_route_of_the_application_is_listed_or_open(app):
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods:
                path = route.path.replace(":path", "")
                listed = (method, path) in ROUTE_SCOPES
                assert listed or path in OPEN_PATHS or path.startswith(OPEN_PREFIXES), f"{method} {path}"


def test_the_openapi_document_describes_how_to_send_a_key(app):
    schema = ask(("GET", "/openapi.json"), app=app)[0].json()
    schemes = schema["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["header"]["name"] == "X-API-Key"
    assert schema["security"] == [{"bearer": []}, {"header": []}]
    assert schema["paths"]["/healthz"]["get"]["security"] == []
    assert "security" not in schema["paths"]["/v1/search"]["post"]
    plain = ask(("GET", "/openapi.json"))[0].json()
    assert "security" not in plain
    assert "securitySchemes" not in plain["components"]


def test_a_websocket_is_closed(app):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_running_service_accepts_keys_created_later(built, tmp_path, monkeypatch):
    file = tmp_path / "keys.json"
    first = create_key(file, "first", ["read"])
    monkeypatch.setattr("service.security.key_ring._CHECK_SECONDS", 0.0)
    with running(Settings(index=built, port=0, keys=file, log_level="warning", watch_share=0)) as url:

        def search(key):
            return httpx.post(f"{url}/v1/search", json={"query": "w1"}, headers=bearer(key), trust_env=False)

        assert search(first).json()["results"]
        second = create_key(file, "second", ["read"])
        revoke_key(file, "first")
        assert search(second).json()["results"]
        assert search(first).status_code == 401
