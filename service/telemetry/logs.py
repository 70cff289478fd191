"""Log formats: one line per record, as text or JSON, with the id of the request that caused it.

Neither queries nor API keys are logged. The access log has method, path, status, time, bytes and the key's name.
"""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from service.settings import Settings

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""Id of the request being answered; None outside of requests. Set by :mod:`service.http.request_id`."""

# Attributes of every record, and uvicorn's coloured copy of the message.
_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
# Escaped, because a line break in a path would let a client forge log lines.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class JsonLines(logging.Formatter):
    """JSON objects with time, level, logger, message, request_id, extra fields and, if any, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as a line of JSON."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Lines such as ``time level logger: message (name=value …)``, followed by the traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as a line of text and its traceback as further lines."""
        extras = " ".join(f"{name}={value}" for name, value in _extras(record).items())
        line = f"{_time(record)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        line = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", f"{line} ({extras})" if extras else line)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def log_config(settings: Settings) -> dict[str, Any]:
    """Return a configuration for :mod:`logging.config` that sends our loggers and uvicorn's through one handler."""
    level = settings.log_level.upper()
    ours = {"handlers": ["stderr"], "level": level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JsonLines if settings.log_format == "json" else TextLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {
            **dict.fromkeys(("mrl", "indexer", "models"), ours),
            "uvicorn": {**ours, "propagate": False},
            # Switched on by its own setting, independent of the log level.
            "mrl.access": {"level": "INFO"},
        },
    }


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    request_id = REQUEST_ID.get()
    extras = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return extras if request_id is None else {"request_id": request_id, **extras}
