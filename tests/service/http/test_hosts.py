import pytest

from tests.service.applications import ask, error_of


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
def test_only_the_given_ones_are_served(host, status):
    hosts = "search.example.com, *.inner.example"
    answer, probe = ask(("GET", "/x", {"Host": host}), ("GET", "/healthz", {"Host": host}), allowed_hosts=hosts)
    assert answer.status_code == status
    assert error_of(answer)["code"] == ("unknown_host" if status == 400 else "not_found")
    assert probe.status_code == 200
