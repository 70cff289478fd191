"""Request ids: ``X-Request-Id`` is kept if the client sends a valid one, else generated."""

from __future__ import annotations

import re
import secrets
from typing import Final

from service.telemetry.logs import REQUEST_ID

HEADER: Final = b"x-request-id"
_VALID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def assign_request_id(sent: bytes) -> bytes:
    """Return the id of a request, and set it for every log line that the request causes.

    The context variable is never reset: a request is a task of its own, and whatever the server logs about it
    afterwards carries the id too.

    Args:
        sent: value of the request's ``X-Request-Id`` header; empty if there is none.
    """
    request_id = sent.decode() if _VALID.fullmatch(sent) else secrets.token_hex(16)
    REQUEST_ID.set(request_id)
    return request_id.encode()
