"""Host check: requests for a host that is not allowed get 400, which stops DNS rebinding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from service.errors import envelope

_PROBES: Final = ("/healthz", "/readyz")


class AllowedHosts:
    """Checks the ``Host`` header against names such as ``example.com`` and ``*.example.com``."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns

    def allows(self, host: bytes, path: str) -> bool:
        """Return whether to answer a request; orchestrators probe health by IP address, so any host may."""
        if path in _PROBES:
            return True
        name = re.sub(r":\d*$", "", host.decode("latin-1")).lower()
        return any(
            name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:])) for pattern in self._patterns
        )

    @staticmethod
    def refusal(host: bytes) -> Response:
        """Return the answer to a request for a host that is not allowed."""
        message = f"host {host.decode('latin-1')!r:.80} is not served here; add it to allowed_hosts to serve it"
        return envelope(HTTPStatus.BAD_REQUEST, "unknown_host", message)
