"""A limit on request lines, headers and trailers, enforced in the HTTP parser."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES: Final = 64 << 10
"""Largest request line plus headers. One socket read more may be buffered before the limit applies."""

_BODY: Final = b"the request line and headers are too large"


class HeaderLimitProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit; on its own, it buffers headers and trailers of any size.

    It counts bytes that neither complete a header block nor belong to a body. Trailers are therefore limited as well,
    and large bodies are not.
    """

    _fruitless = 0
    _progress = False

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; answer 431 and close the connection if a header block exceeds the limit."""
        self._progress = False
        super().data_received(data)
        self._fruitless = 0 if self._progress else self._fruitless + len(data)
        if self._fruitless > MAX_HEADER_BYTES and not self.transport.is_closing():
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            self.transport.write(f"{head}content-length: {len(_BODY)}\r\n\r\n".encode() + _BODY)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Reset the count: a header block is complete."""
        self._progress = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Reset the count: body data arrived."""
        self._progress = True
        super().on_body(body)
