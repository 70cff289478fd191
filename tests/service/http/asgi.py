"""ASGI applications called directly, without a client's or a framework's own handling of requests."""

import asyncio


def call(app, *, path="/", method="GET", headers=(), body=(), **scope):
    """Call an application with a request whose body comes in pieces; return (status, headers, body)."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "headers": list(headers),
        **scope,
    }
    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    received = [*pieces, {"type": "http.request", "body": b"", "more_body": False}]
    sent = []

    async def receive():
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert {message["type"] for message in rest} == {"http.response.body"}
    return start["status"], dict(start["headers"]), b"".join(message.get("body", b"") for message in rest)


async def answers(scope, receive, send):
    """An application that answers ``ok``."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def reads(scope, receive, send):
    """An application that answers with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})
