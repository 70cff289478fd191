import asyncio
import json

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, StrictInt

from indexer import BundleBusyError, BundleCorruptError, BundleStorageError, ModelMismatchError, OutOfMemoryError
from models import DataError, InvalidOptionError, ModelError
from service.errors import ClientDisconnectedError, ServiceError, envelope, install_error_handlers, internal_error
from tests.service.applications import error_of, serve


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/static/nope", 404, "not_found"),
        ("GET", "/static/..%2fapp.py", 404, "not_found"),
        ("GET", "/v1/search", 405, "method_not_allowed"),
        ("DELETE", "/v1/index", 405, "method_not_allowed"),
    ],
)
def test_unknown_routes_and_methods(client, method, path, status, code):
    response = client.request(method, path)
    assert (response.status_code, error_of(response)["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/v1/search", "POST"), ("/v1/documents/7", "DELETE, GET, PUT"), ("/v1/index/reload", "POST")],
)
def test_an_unsupported_method_gets_the_allowed_ones(client, path, allowed):
    answer = client.request("PATCH", path)
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


def test_a_bug_is_logged_and_answered_with_the_envelope(built, caplog):
    async def scenario(client, engine):
        engine.index.search = lambda *_, **__: 1 / 0
        response = await client.post("/v1/search", json={"query": "w1"})
        assert response.status_code == 500
        assert error_of(response) == {
            "type": "service_error",
            "code": "internal_error",
            "message": "internal error; the log of the service has the traceback",
            "param": None,
        }

    serve(built, scenario)
    assert "ZeroDivisionError" in caplog.text


class TestEnvelope:
    def test_the_type_says_whose_fault_it_is(self):
        for status, kind in ((422, "invalid_request_error"), (499, "invalid_request_error"), (500, "service_error")):
            content = json.loads(envelope(status, "code", "message", "param").body)
            assert content == {"error": {"type": kind, "code": "code", "message": "message", "param": "param"}}

    def test_lone_surrogates_are_escaped(self):
        error = json.loads(envelope(422, "code", "a \ud800", "\udfff").body)["error"]
        assert (error["message"], error["param"]) == ("a \\ud800", "\\udfff")

    def test_headers_are_named_as_http_names_them(self):
        assert envelope(503, "busy", "wait", Retry_After="1").headers["retry-after"] == "1"

    def test_an_internal_error_discloses_nothing(self):
        assert json.loads(internal_error().body)["error"]["code"] == "internal_error"


class Body(BaseModel):
    number: StrictInt = 0
    sizes: list[StrictInt] = []


def answer_to(error=None, *, content=b"{}"):
    """The response of an application with a route that raises."""
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/raise")
    async def route(body: Body):
        raise error

    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/raise", content=content, headers={"content-type": "application/json"})

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidOptionError("k", "k 0"), 422, "invalid_option"),
        (ModelMismatchError("another model"), 409, "model_mismatch"),
        (BundleBusyError("locked"), 503, "busy"),
        (BundleStorageError("disk full"), 507, "storage_failed"),
        (BundleCorruptError("damaged"), 503, "index_failed"),
        (OutOfMemoryError("too large"), 503, "out_of_memory"),
        (MemoryError(), 503, "out_of_memory"),
        (ModelError("gone"), 503, "model_failed"),
        (DataError("anything else"), 500, "internal_error"),
        (ServiceError(404, "not_found", "no document"), 404, "not_found"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_exception_has_its_status_and_code(error, status, code):
    response = answer_to(error)
    assert (response.status_code, error_of(response)["code"]) == (status, code)
    assert str(error) in error_of(response)["message"]
    assert ("retry-after" in response.headers) is (status == 503)


def test_a_service_error_says_when_to_retry_and_what_was_noted_on_its_way():
    error = ServiceError(503, "overloaded", "full", retry_after=0.25, param="k")
    error.add_note("lines 1 to 3 have been stored")
    response = answer_to(error)
    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("1", "250")
    assert error_of(response)["message"] == "full; lines 1 to 3 have been stored"
    assert error_of(response)["param"] == "k"


def test_a_client_that_disconnected_gets_an_empty_499():
    response = answer_to(ClientDisconnectedError())
    assert (response.status_code, response.content) == (499, b"")


@pytest.mark.parametrize(
    ("content", "status", "param", "message"),
    [
        (b"{", 400, None, "the body is not JSON"),
        (b"[]", 422, None, "the body: Input should be a valid dictionary"),
        (b'{"number": "3"}', 422, "number", "number: Input should be a valid integer (given '3')"),
        (b'{"sizes": [1, null]}', 422, "sizes.1", "sizes.1: Input should be a valid integer"),
    ],
)
def test_an_invalid_request_names_the_option_and_the_value(content, status, param, message):
    response = answer_to(ServiceError(500, "never", "never"), content=content)
    assert (response.status_code, error_of(response)["param"]) == (status, param)
    assert message in error_of(response)["message"]
