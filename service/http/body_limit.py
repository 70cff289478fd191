"""A limit on request bodies, enforced before anything parses them."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import envelope


class _BodyTooLargeError(Exception):
    pass


class BodyLimit:
    """ASGI middleware that answers 413 to a body of more than ``limit`` bytes, with or without a Content-Length.

    The framework's own limit answers in plain text.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting the bytes of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) <= self.limit and b"transfer-encoding" not in headers:
            await self.app(scope, receive, send)  # the server reads no more than Content-Length
            return
        seen = int(announced) if announced.isdigit() else 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _BodyTooLargeError
            return message

        async def guarded(message: Message) -> None:
            # The framework answers what receive() raises with an error of its own, which must not be sent.
            if seen <= self.limit:
                await send(message)

        if seen <= self.limit:
            with suppress(_BodyTooLargeError):
                await self.app(scope, counted, guarded)
        if seen > self.limit:
            message = f"the body is larger than {self.limit} bytes, the most this service allows"
            refusal = envelope(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", message)
            await refusal(scope, receive, send)
