import base64

from benchmarks.service_fuzz import OTHERS, summarise


def encoded(text):
    return {"$base64": base64.b64encode(text.encode()).decode()}


def scenario(*exchanges):
    """A finished scenario of (method, path, body, status, names of failed checks)."""
    recorder = {"cases": {}, "interactions": {}, "checks": {}}
    for number, (method, path, body, status, failed) in enumerate(exchanges):
        case = f"c{number}"
        recorder["cases"][case] = {"value": {"method": method, "path": path}}
        recorder["interactions"][case] = {
            "request": {
                "method": method,
                "uri": f"http://127.0.0.1:1{path}",
                "headers": {"Authorization": ["Bearer secret"], "Content-Type": ["application/json"]},
                "body": encoded(body),
            },
            "response": status and {"status_code": status, "content": encoded("answer")},
        }
        failure = {"failure": {"title": "Wrong", "message": "why"}}
        recorder["checks"][case] = [
            {"name": "fine", "status": "success"},
            *({"name": name, "status": "failure", "failure_info": failure} for name in failed),
        ]
    return {"ScenarioFinished": {"recorder": recorder}}


def test_requests_and_failures_are_counted_and_the_shortest_request_is_shown():
    events = [
        {"EngineStarted": {}},
        scenario(
            ("POST", "/a", "a long body", 500, ["server"]),
            ("POST", "/a", "short", 500, ["server", "schema"]),
            ("POST", "/a", "", 503, []),
        ),
        scenario(("TRACE", "/a", "", 405, []), ("POST", "/a", "", None, [])),
        {"NonFatalError": {"label": "POST /b", "value": {"message": "cannot be made"}}},
    ]
    summary = summarise(events, {"POST /a"})
    assert (summary["cases"], summary["server_errors"], summary["no_answer"]) == (5, 2, 1)
    assert summary["operations"] == {
        "POST /a": {"cases": 4, "statuses": {"500": 2, "503": 1, "none": 1}},
        OTHERS: {"cases": 1, "statuses": {"405": 1}},
    }
    assert [(failure["check"], failure["count"]) for failure in summary["failures"]] == [("schema", 1), ("server", 2)]
    assert summary["failures"][1]["example"] == {
        "request": "POST a",
        "headers": {"Content-Type": ["application/json"]},
        "body": "short",
        "answer": "answer",
        "why": "Wrong: why",
    }
    assert summary["errors"] == ["POST /b: cannot be made"]
    assert "secret" not in str(summary)
