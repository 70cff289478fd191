import json
import logging
import logging.config
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import Settings, create_app
from service.security.keys import create_key
from service.telemetry.logs import REQUEST_ID, JsonLines, TextLines, log_config
from tests.service.applications import ask
from tests.service.test_http import error_of


def record(message="said %s", *arguments, **extra):
    made = logging.makeLogRecord({"name": "mrl.test", "levelname": "INFO", "levelno": 20, "msg": message, **extra})
    made.args = arguments
    return made


@pytest.fixture
def request_id():
    token = REQUEST_ID.set("abc")
    yield "abc"
    REQUEST_ID.reset(token)


class Collected(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(json.loads(JsonLines().format(record)))


@pytest.fixture
def lines(caplog):
    """What the JSON format writes of a logger."""
    caplog.set_level("INFO", logger="mrl")
    handler = Collected()
    logging.getLogger("mrl").addHandler(handler)
    yield lambda name="mrl.access": [line for line in handler.lines if line["logger"] == name]
    logging.getLogger("mrl").removeHandler(handler)


class TestFormats:
    def test_json_is_one_object_a_line(self, request_id):
        line = JsonLines().format(record("said %s", "a\nb", rows=3, where=object))
        assert "\n" not in line
        fields = json.loads(line)
        moment = datetime.fromisoformat(fields.pop("time"))
        assert moment.tzinfo == UTC
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
        assert fields == {
            "level": "info",
            "logger": "mrl.test",
            "message": "said a\nb",
            "request_id": "abc",
            "rows": 3,
            "where": "<class 'object'>",
        }

    def test_outside_of_requests_there_is_no_id(self):
        assert "request_id" not in json.loads(JsonLines().format(record("x")))

    def test_text_has_the_same_facts(self, request_id):
        line = TextLines().format(record("said %s", "hello", rows=3))
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info mrl\.test: said hello \(request_id=abc rows=3\)", line
        )

    @pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
    def test_a_traceback_is_in_it(self, formatter):
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            line = formatter.format(record("x", exc_info=sys.exc_info()))
        assert "RuntimeError: broken" in line
        assert "Traceback" in line

    @given(st.text(st.characters(codec=None)), st.sampled_from([JsonLines(), TextLines()]))
    def test_no_text_makes_a_second_line_or_cannot_be_written(self, text, formatter):
        line = formatter.format(record("%s", text, path=text))
        assert len(line.splitlines()) == 1
        line.encode("utf-8")


class TestRequestIds:
    @pytest.mark.parametrize("sent", ["a", "Trace-1_2.3", "x" * 128])
    def test_one_that_was_sent_is_kept(self, sent):
        (answer,) = ask(("GET", "/healthz", {"X-Request-Id": sent}))
        assert answer.headers["x-request-id"] == sent

    @pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", "<script>", b"\xc3\xa4", "a,b"])
    def test_one_that_is_none_is_replaced(self, sent):
        first, second = ask(*[("GET", "/healthz", {"X-Request-Id": sent})] * 2)
        assert re.fullmatch("[0-9a-f]{32}", first.headers["x-request-id"])
        assert first.headers["x-request-id"] != second.headers["x-request-id"]

    def test_refusals_have_one(self, tmp_path):
        create_key(tmp_path / "keys.json", "a", ["read"])
        answers = ask(("GET", "/v1/index"), ("GET", "/nope"), auth="keys", keys=tmp_path / "keys.json")
        assert all(len(answer.headers["x-request-id"]) == 32 for answer in answers)

    def test_a_failure_is_answered_and_logged_with_one(self, lines):
        app = create_app(Settings(index="/no/index", auth="off"))

        @app.get("/broken")
        async def broken():
            raise RuntimeError("the reason")

        (answer,) = ask(("GET", "/broken", {"X-Request-Id": "trace-7"}), app=app)
        assert answer.status_code == 500
        assert answer.headers["x-request-id"] == "trace-7"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert error_of(answer)["code"] == "internal_error"
        assert "the reason" not in answer.text
        (line,) = lines("mrl.service")
        assert (line["message"], line["request_id"]) == ("GET /broken failed", "trace-7")
        assert "RuntimeError: the reason" in line["exception"]


class TestAccessLog:
    def test_a_line_has_the_facts_and_neither_query_nor_key(self, tmp_path, lines):
        secret = create_key(tmp_path / "keys.json", "reader", ["read"])
        settings = {"auth": "keys", "keys": tmp_path / "keys.json", "access_log": True}
        headers = {"X-API-Key": secret, "X-Request-Id": "r1"}
        answer, _ = ask(("POST", "/v1/search?q=private", headers), ("GET", "/v1/nope"), **settings)
        searched, refused = lines()
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
        assert "private" not in str(lines())
        assert secret not in str(lines())

    def test_it_is_off_by_default(self, lines):
        ask(("GET", "/healthz"))
        assert lines() == []

    def test_a_long_path_is_cut(self, lines):
        ask(("GET", "/" + "x" * 5000), access_log=True)
        assert len(lines()[0]["path"]) == 512


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_every_logger_writes_through_one_handler(log_format):
    """In a process of its own: configuring logging here would stay."""
    program = f"""
import logging, logging.config
from service import Settings
from service.telemetry.logs import log_config
settings = Settings(index="x", auth="off", log_format={log_format!r}, log_level="warning", access_log=True)
logging.config.dictConfig(log_config(settings))
for name in ("uvicorn.error", "mrl.service", "indexer.watch.record"):
    logging.getLogger(name).info("not this")
    logging.getLogger(name).warning("this")
logging.getLogger("mrl.access").info("this")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = ran.stderr.splitlines()
    if log_format == "json":
        lines = [f"{line['logger']}: {line['message']}" for line in map(json.loads, lines)]
    assert len(lines) == 4
    for line, name in zip(lines, ("uvicorn.error", "mrl.service", "indexer.watch.record", "mrl.access"), strict=True):
        assert line.endswith(f"{name}: this")


def test_the_configuration_is_one():
    for log_format in ("text", "json"):
        config = logging.config.DictConfigurator(log_config(Settings(index="x", log_format=log_format)))
        assert config.configure_formatter(config.config["formatters"]["lines"])
