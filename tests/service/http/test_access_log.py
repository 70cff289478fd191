from service.security.keys import create_key
from tests.service.applications import ask


def test_a_line_has_the_facts_and_neither_query_nor_key(tmp_path, log_lines):
    secret = create_key(tmp_path / "keys.json", "reader", ["read"])
    settings = {"auth": "keys", "keys": tmp_path / "keys.json", "access_log": True}
    headers = {"X-API-Key": secret, "X-Request-Id": "r1"}
    answer, _ = ask(("POST", "/v1/search?q=private", headers), ("GET", "/v1/nope"), **settings)
    searched, refused = log_lines()
    assert searched.pop("milliseconds") > 0
    searched.pop("time")
    assert searched == {
        "level": "info",
        "logger": "mrl.access",
        "message": "request",
        "request_id": "r1",
        "method": "POST",
        "path": "/v1/search",
        "status": answer.status_code,
        "bytes": len(answer.content),
        "key": "reader",
    }
    assert (refused["status"], refused["key"]) == (401, None)
    assert "private" not in str(log_lines())
    assert secret not in str(log_lines())


def test_it_is_off_by_default(log_lines):
    ask(("GET", "/healthz"))
    assert log_lines() == []


def test_a_long_path_is_cut(log_lines):
    ask(("GET", "/" + "x" * 5000), access_log=True)
    assert len(log_lines()[0]["path"]) == 512
