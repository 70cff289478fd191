"""A bound on what the HTTP parser gathers before the application sees a request."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 64 << 10
"""Largest request line and headers; one read more may be gathered."""

_BODY: Final = b"the request line and headers are too large"


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself keeps headers and trailers of any size in memory.

    Counted is what arrives without completing a head or bringing a body, so trailers are bounded too, and a large
    body is not.
    """

    _fruitless = 0
    _progress = False

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; answer 431 and close where a head does not end."""
        self._progress = False
        super().data_received(data)
        self._fruitless = 0 if self._progress else self._fruitless + len(data)
        if self._fruitless > MOST_HEAD_BYTES and not self.transport.is_closing():
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            self.transport.write(f"{head}content-length: {len(_BODY)}\r\n\r\n".encode() + _BODY)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._progress = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._progress = True
        super().on_body(body)
