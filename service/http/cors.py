"""CORS: which origins' pages may call the service from a browser."""

from __future__ import annotations

from typing import Any


def cors_options(origins: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of Starlette's ``CORSMiddleware``.

    API keys are sent in a header that the page sets, never in cookies, so browsers need not send credentials.
    """
    return {
        "allow_origins": origins,
        "allow_credentials": False,
        "allow_methods": ["GET", "POST", "PUT", "DELETE"],
        "allow_headers": ["Authorization", "X-API-Key", "Content-Type", "X-Request-Id", "X-Timeout-Ms"],
        "expose_headers": ["X-Request-Id", "Retry-After", "retry-after-ms"],
    }
