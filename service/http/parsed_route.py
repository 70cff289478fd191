"""A route without what the framework does for endpoints that need more than their body and the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError


class ParsedRoute(APIRoute):
    """For endpoints ``async def endpoint(body: Model, request: Request) -> Response`` that must cost little.

    The framework would resolve dependencies and look after files that it may have opened: a tenth of a millisecond more
    on each request. What a request may be, and how the interface is described, is as it is otherwise.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        assert self.body_field is not None
        model: type[BaseModel] = self.body_field.field_info.annotation  # type: ignore[assignment]
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            body = await request.body()
            if not _is_json(request.headers.get("content-type", "")):
                # As the framework has it: a page of another origin can send other types without asking first.
                raise RequestValidationError([_NO_JSON])
            response: Response = await endpoint(_parsed(model, body), request)
            return response

        return handle


def _parsed(model: type[BaseModel], body: bytes) -> BaseModel:
    if not body:
        raise RequestValidationError([_NO_BODY])
    try:
        return model.model_validate_json(body)  # several times as fast as the way below on a vector
    except ValidationError:
        pass
    try:  # the way of the framework: what it takes is taken, and what it says of the rest is said
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        raise RequestValidationError([_in_body(one) for one in error.errors(include_url=False)]) from None
    except (ValueError, RecursionError) as error:  # not JSON, not Unicode, or nested too deep
        raise RequestValidationError([_not_json(error)]) from None


_NO_BODY = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
_NO_JSON = {
    "type": "content_type",
    "loc": ("body",),
    "msg": "send JSON, and say so: content-type: application/json",
    "input": None,
}


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _not_json(error: Exception) -> dict[str, Any]:
    return {"type": "json_invalid", "loc": ("body",), "msg": "not JSON", "input": None, "ctx": {"error": str(error)}}


def _in_body(error: Any) -> dict[str, Any]:
    return {**error, "loc": ("body", *error["loc"])}
