import asyncio

import httpx

from service import Settings, create_app
from tests.service.applications import error_of


def test_a_body_over_the_limit_is_refused_announced_or_not(built):
    async def run():
        app = create_app(Settings(index=built, auth="off", max_body_bytes=2000))
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
