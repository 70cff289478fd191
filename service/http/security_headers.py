"""Security and caching headers of every response."""

from __future__ import annotations

from typing import Final

Headers = tuple[tuple[bytes, bytes], ...]

_HEADERS: Final[Headers] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_NO_STORE: Final = (b"cache-control", b"no-store")


class SecurityHeaders:
    """The headers to add to a response, by path. Caches must not store responses under ``/v1``."""

    def __init__(self, *, tls: bool) -> None:
        self._other: Headers = (*_HEADERS, _HSTS) if tls else _HEADERS
        self._api: Headers = (*self._other, _NO_STORE)

    def of(self, path: str) -> Headers:
        """Return the headers of the response to a request for ``path``."""
        return self._api if path.startswith("/v1") else self._other
