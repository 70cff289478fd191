import pytest

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
def test_another_method_is_told_those_there_are(client, path, allowed):
    answer = client.request("PATCH", path)
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


def test_a_bug_of_ours_is_logged_and_answered_by_the_envelope(built, caplog):
    async def scenario(client, engine):
        await engine.load()
        engine.index.search = lambda *_, **__: 1 / 0
        response = await client.post("/v1/search", json={"query": "w1"})
        assert response.status_code == 500
        assert error_of(response) == {
            "type": "service_error",
            "code": "internal_error",
            "message": "internal error; the log of the service has the traceback",
            "param": None,
        }

    serve(built, scenario, load=False)
    assert "ZeroDivisionError" in caplog.text
