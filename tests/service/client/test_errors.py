import sys

import httpx
import pytest

import service.client as api
from service.client import Retries
from service.client.errors import error_class
from tests.service.client.fakes import Service, refusal


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, api.InvalidRequestError),
        (401, api.AuthenticationError),
        (403, api.PermissionDeniedError),
        (404, api.NotFoundError),
        (408, api.ServiceDeadlineError),
        (409, api.ConflictError),
        (413, api.InvalidRequestError),
        (422, api.InvalidRequestError),
        (429, api.OverloadedError),
        (500, api.ServerError),
        (503, api.OverloadedError),
    ],
)
def test_an_error_response_becomes_an_exception_with_its_details(connect, status, kind):
    service = Service(refusal(status, "odd", {"x-request-id": "r1"}, param="k"))
    with pytest.raises(kind, match=f"{status} odd: why \\(request r1\\)") as caught:
        connect(service, retries=Retries(attempts=1)).search("a")
    error = caught.value
    assert (error.status, error.code, error.message, error.param, error.request_id) == (status, "odd", "why", "k", "r1")
    assert type(error) is kind is error_class(status)


def test_the_docstring_draws_the_tree():
    doc = sys.modules["service.client.errors"].__doc__
    for name in (name for name in api.__all__ if name.endswith("Error")):
        assert name in doc
        assert issubclass(getattr(api, name), api.ClientError)
    assert issubclass(api.ServiceDeadlineError, TimeoutError)
    assert issubclass(api.NotConnectedError, ConnectionError)


def test_answers_of_another_program_are_errors(connect):
    with pytest.raises(api.UnexpectedAnswerError):
        connect(Service({"hello": "world"})).search("a")
    with pytest.raises(api.UnexpectedAnswerError):
        connect(Service({"data": [{"embedding": "x"}]})).embeddings(["a"])
    with pytest.raises(api.ServerError, match="502 http_error: <html>"):
        connect(Service(httpx.Response(502, text="<html>"))).search("a")
    with pytest.raises(api.InvalidRequestError, match="302"):
        connect(Service(httpx.Response(302, headers={"location": "/login"}))).search("a")
