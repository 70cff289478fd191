import asyncio
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from service.errors import install_error_handlers
from service.http.parsed_route import ParsedRoute
from tests.service.applications import error_of


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: Annotated[StrictInt, Field(ge=0)]
    text: str | None = None


async def by_request(body: Body, request: Request) -> Response:
    return Response(body.model_dump_json(), media_type="application/json", headers={"x-method": request.method})


async def by_framework(body: Body) -> Body:
    return body


@pytest.fixture(scope="module")
def app():
    app = FastAPI()
    install_error_handlers(app)
    parsed = APIRouter(route_class=ParsedRoute)
    parsed.post("/parsed", response_model=Body)(by_request)
    app.include_router(parsed)
    app.post("/plain")(by_framework)
    return app


def post(app, path, content, content_type="application/json"):
    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post(path, content=content, headers={"content-type": content_type})

    return asyncio.run(go())


def test_the_endpoint_gets_the_body_and_the_request(app):
    response = post(app, "/parsed", b'{"number": 3}')
    assert (response.status_code, response.json()) == (200, {"number": 3, "text": None})
    assert response.headers["x-method"] == "POST"


BODIES = st.one_of(
    st.sampled_from([b"", b" ", b"null", b"[]", b"{", b"\xff", b'{"number": 1e999}', b'{"number": NaN}', b"[" * 50]),
    st.builds(
        lambda number, text: f'{{"number": {number}, "text": {text}}}'.encode(),
        st.sampled_from(["3", "-1", '"3"', "true", "2.5", "null", "9" * 5000]),
        st.sampled_from(['"a"', "null", "3", '"\\u0000"']),
    ),
    st.binary(max_size=20),
)


@given(BODIES)
def test_it_accepts_what_the_framework_accepts_and_blames_the_same_option(app, content):
    parsed, plain = post(app, "/parsed", content), post(app, "/plain", content)
    assert parsed.status_code == plain.status_code
    if parsed.status_code == 200:
        assert parsed.json() == plain.json()
    else:
        assert error_of(parsed)["param"] == error_of(plain)["param"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/vnd.mrl+json", "Application/JSON"]
)
def test_json_may_be_named_in_several_ways(app, content_type):
    assert post(app, "/parsed", b'{"number": 3}', content_type).status_code == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "text/json", "application/x-www-form-urlencoded", "json"])
def test_other_types_are_refused_since_a_page_of_another_origin_may_send_them(app, content_type):
    response = post(app, "/parsed", b'{"number": 3}', content_type)
    assert response.status_code == 422
    assert "content-type: application/json" in error_of(response)["message"]


def test_it_is_documented_like_any_other_route(app):
    paths = app.openapi()["paths"]
    assert paths["/parsed"]["post"]["requestBody"] == paths["/plain"]["post"]["requestBody"]
    assert paths["/parsed"]["post"]["responses"] == paths["/plain"]["post"]["responses"]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"query": "a", "filter": {"n": ' + b"["])
def test_a_body_nested_without_end_is_refused(client, opening):
    answer = client.post("/v1/search", content=opening * 100_000)
    assert answer.status_code in (400, 422)
    error_of(answer)
