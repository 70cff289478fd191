import asyncio

import httpx
import pytest

from service import Settings, create_app
from service.http.body_limit import BodyLimit
from tests.service.applications import error_of
from tests.service.http.asgi import call, reads


def test_a_body_over_the_limit_is_refused_announced_or_not():
    async def run():
        app = create_app(Settings(index="/no/index", auth="off", max_body_bytes=2000))
        transport = httpx.ASGITransport(app)

        async def chunks():
            for _ in range(30):
                yield b" " * 100

        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for content in (b" " * 3000, chunks()):
                response = await client.post("/v1/search", content=content)
                assert response.status_code == 413
                error = error_of(response)
                assert error["code"] == "body_too_large"
                assert "larger than 2000 bytes" in error["message"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("pieces", "headers", "status"),
    [
        ([b"x" * 10], [(b"content-length", b"10")], 200),
        ([b"x" * 11], [(b"content-length", b"11")], 413),
        ([b"x" * 5, b"x" * 5], [], 200),
        ([b"x" * 5, b"x" * 6], [], 413),
        ([b"x" * 11], [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")], 413),
        ([b"x"], [(b"content-length", b"many")], 200),
    ],
    ids=["announced", "announced, too large", "chunked", "chunked, too large", "announced falsely", "no number"],
)
def test_a_body_up_to_the_limit_is_passed_on(pieces, headers, status):
    answered, _, body = call(BodyLimit(reads, 10), headers=headers, body=pieces)
    assert answered == status
    if status == 200:
        assert body == str(sum(map(len, pieces))).encode()
    else:
        assert b"larger than 10 bytes" in body


def test_other_protocols_are_passed_on():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    asyncio.run(BodyLimit(app, 10)({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]
