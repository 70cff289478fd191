import contextvars
import re

import pytest

from service.http.request_id import assign_request_id
from service.security.keys import create_key
from service.telemetry.logs import REQUEST_ID
from tests.service.applications import ask


@pytest.mark.parametrize("sent", ["a", "Trace-1_2.3", "x" * 128])
def test_a_valid_id_is_kept(sent):
    (answer,) = ask(("GET", "/healthz", {"X-Request-Id": sent}))
    assert answer.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", "<script>", b"\xc3\xa4", "a,b"])
def test_an_invalid_id_is_replaced(sent):
    first, second = ask(*[("GET", "/healthz", {"X-Request-Id": sent})] * 2)
    assert re.fullmatch("[0-9a-f]{32}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_refusals_have_an_id(tmp_path):
    create_key(tmp_path / "keys.json", "a", ["read"])
    answers = ask(("GET", "/v1/index"), ("GET", "/nope"), auth="keys", keys=tmp_path / "keys.json")
    assert all(len(answer.headers["x-request-id"]) == 32 for answer in answers)


def test_an_assigned_id_is_set_for_the_log():
    def assigned(sent):
        return assign_request_id(sent), REQUEST_ID.get()

    assert contextvars.copy_context().run(assigned, b"trace-7") == (b"trace-7", "trace-7")
    made, logged = contextvars.copy_context().run(assigned, b"not one")
    assert made == logged.encode()
    assert re.fullmatch(b"[0-9a-f]{32}", made)
