import pytest

from service.http.hosts import AllowedHosts
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
def test_only_allowed_hosts_are_served(host, status):
    hosts = "search.example.com, *.inner.example"
    answer, probe = ask(("GET", "/x", {"Host": host}), ("GET", "/healthz", {"Host": host}), allowed_hosts=hosts)
    assert answer.status_code == status
    assert error_of(answer)["code"] == ("unknown_host" if status == 400 else "not_found")
    assert probe.status_code == 200


def test_names_and_subdomains_are_matched_without_port_and_case():
    hosts = AllowedHosts(("example.com", "*.inner.example"))
    for host in (b"example.com", b"EXAMPLE.com:80", b"a.inner.example", b"a.b.inner.example:"):
        assert hosts.allows(host, "/v1/search"), host
    for host in (b"", b"a.example.com", b"inner.example", b"example.com.evil.org", b"ex\xe4mple.com"):
        assert not hosts.allows(host, "/v1/search"), host
        assert hosts.allows(host, "/healthz")


def test_the_refusal_names_the_host_shortened():
    refusal = AllowedHosts(("example.com",)).refusal(b"x" * 500)
    assert refusal.status_code == 400
    assert b"host 'xxx" in refusal.body
    assert len(refusal.body) < 300
