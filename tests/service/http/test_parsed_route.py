import pytest

from tests.service.applications import error_of


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"query": "a", "filter": {"n": ' + b"["])
def test_a_body_nested_without_end_is_refused(client, opening):
    answer = client.post("/v1/search", content=opening * 100_000)
    assert answer.status_code in (400, 422)
    error_of(answer)
