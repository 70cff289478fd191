"""Access log: one line per request, without the query, the body or the key's secret."""

from __future__ import annotations

import logging
from typing import Final

from starlette.types import Scope

logger = logging.getLogger("mrl.access")
_MAX_PATH: Final = 512


def log_access(scope: Scope, *, status: int, seconds: float, size: int) -> None:
    """Log a request that has been answered.

    Args:
        scope: the request's ASGI scope; the authentication layer leaves the key's name in it as ``mrl.key``.
        status: HTTP status of the response; 0 if there was none.
        seconds: time to answer.
        size: bytes of the response body.
    """
    logger.info(
        "request",
        extra={
            "method": scope["method"],
            "path": scope["path"][:_MAX_PATH],
            "status": status,
            "milliseconds": round(seconds * 1e3, 3),
            "bytes": size,
            "key": scope.get("mrl.key"),
        },
    )
