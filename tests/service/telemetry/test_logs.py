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

from service import Settings
from service.telemetry.logs import REQUEST_ID, JsonLines, TextLines, log_config


def record(message="said %s", *arguments, **extra):
    made = logging.makeLogRecord({"name": "mrl.test", "levelname": "INFO", "levelno": 20, "msg": message, **extra})
    made.args = arguments
    return made


@pytest.fixture
def request_id():
    token = REQUEST_ID.set("abc")
    yield "abc"
    REQUEST_ID.reset(token)


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
