"""``/v1/documents``: read, add, replace and delete documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import ClientDisconnect

from models import AdaptiveRetrievalError, InvalidOptionError
from service.engine.documents import put_lines, read_document
from service.errors import ServiceError
from service.routes.dependencies import Deadline, EngineOf
from service.schemas.documents import (
    BulkAnswer,
    DeleteAnswer,
    DeleteRequest,
    DocumentChange,
    DocumentOut,
)
from service.schemas.errors import ErrorAnswer

BATCH_LINES: Final = 256
BATCH_BYTES: Final = 1 << 20
MAX_LINES: Final = 100_000
"""Every line is reported, so the limit keeps the response from being much larger than the request."""


class _Anything(StringConvertor):
    """The rest of the path, line breaks included; the framework's own ``path`` convertor does not match all of them."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())

router = APIRouter(
    prefix="/v1/documents",
    tags=["documents"],
    responses={status: {"model": ErrorAnswer} for status in (400, 408, 409, 413, 422, 503, 507)},
)
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer}}
_LINES: Final = {
    "requestBody": {
        "required": False,
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"_id": "1", "title": "Tides", "text": "The moon pulls the sea."}\n'
                '{"_id": "2", "text": "Yeast makes the dough rise."}\n',
            }
        },
    }
}


async def id_of(
    request: Request, id: Annotated[str, Path(description="May contain slashes and any other character.")]
) -> str:
    """Return the id in the URL.

    Raises:
        InvalidOptionError: the id is empty, or not valid UTF-8, which the server would replace by other characters.
    """
    try:
        unquote_to_bytes(request.scope.get("raw_path") or b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidOptionError("id", f"the id in the URL is not UTF-8: {error.reason}") from None
    if not id:
        raise InvalidOptionError("id", "the id is empty")
    return id


Id = Annotated[str, Depends(id_of)]


@router.get("/{id:anything}", responses=_NOT_FOUND)
async def get(id: Id, engine: EngineOf, deadline: Deadline) -> DocumentOut:
    """Read a document."""
    index = engine.index
    found = (await engine.run(lambda: index.get([id]), deadline)).get(id)
    if found is None:
        raise _missing(id)
    return DocumentOut(id=found.id, payload=found.payload)


@router.put("/{id:anything}", responses={201: {"model": DocumentChange, "description": "Added; 200 if replaced."}})
async def put(
    id: Id,
    row: Annotated[
        dict[str, Any],
        Body(
            description="A row as in a corpus: `title`, `text` and any other fields, which are returned and can be "
            "filtered by. `_vector` (numbers, or base64 of float32) is stored instead of an encoding of the text.",
            examples=[{"title": "Tides", "text": "The moon pulls the sea.", "year": 1990}],
            json_schema_extra={
                "anyOf": [{"required": [name]} for name in ("text", "title", "_vector")],
                "properties": {name: {"type": "string"} for name in ("text", "title")},
            },
        ),
    ],
    engine: EngineOf,
    deadline: Deadline,
    response: Response,
) -> DocumentChange:
    """Add a document, or replace the one with the same id. After the response it is on disk and found by every search.

    If the deadline (`X-Timeout-Ms`) passes, the response is 408, and the document may be stored or not: send it again.
    """
    index = engine.index

    def step() -> DocumentChange:
        (done,) = index.put([read_document(index, id, row)])
        if done.result == "rejected":
            raise InvalidOptionError("document", done.reason)
        return DocumentChange(id=done.id, result=done.result)

    changed = await engine.write(step, deadline)
    response.status_code = HTTPStatus.CREATED if changed.result == "added" else HTTPStatus.OK
    return changed


@router.delete("/{id:anything}", responses=_NOT_FOUND)
async def delete(id: Id, engine: EngineOf, deadline: Deadline) -> DocumentChange:
    """Delete a document. After the response no search finds it."""
    index = engine.index
    if not await engine.write(lambda: index.delete([id]), deadline):
        raise _missing(id)
    return DocumentChange(id=id, result="deleted")


@router.post("/delete")
async def delete_many(request: DeleteRequest, engine: EngineOf, deadline: Deadline) -> DeleteAnswer:
    """Delete several documents."""
    index = engine.index
    return DeleteAnswer.from_count(request.ids, await engine.write(lambda: index.delete(request.ids), deadline))


@router.post("", response_model=BulkAnswer, openapi_extra=_LINES)
async def put_many(request: Request, engine: EngineOf, deadline: Deadline) -> Response:
    """Add or replace many documents: JSON Lines, each line a row as in a corpus with its `_id`.

    Lines that are not documents are rejected with a reason; the rest is stored. If an id repeats, the last line wins.
    Lines are stored in batches as they arrive; if the service has to stop, the error says which lines are stored.
    """
    index = engine.index
    answer = BulkAnswer()
    stored = 0
    try:
        async for batch in _batches(request):
            answer.extend(await engine.write(partial(put_lines, index, batch), deadline))
            stored = batch[-1][0]
    except ClientDisconnect:
        raise ServiceError(
            HTTPStatus.BAD_REQUEST, "client_gone", "the client closed the connection before the end of the body"
        ) from None
    except (ServiceError, AdaptiveRetrievalError) as error:
        if stored:
            error.add_note(f"lines 1 to {stored} have been stored")
        raise
    # Serialising a long report would block the event loop.
    return Response(await asyncio.to_thread(answer.model_dump_json), media_type="application/json")


def _missing(identifier: str) -> ServiceError:
    return ServiceError(HTTPStatus.NOT_FOUND, "not_found", f"no document with id {identifier!r:.200}")


async def _batches(request: Request) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Split a body into numbered lines as it arrives, and yield them in batches without blank lines."""
    batch: list[tuple[int, bytes]] = []
    pieces: list[bytes] = []
    number = size = 0
    async for piece in request.stream():
        *ended, rest = piece.split(b"\n")
        for part in ended:
            line = b"".join([*pieces, part])
            pieces.clear()
            number += 1
            _check_number(number)
            if not line.strip():
                continue
            batch.append((number, line))
            size += len(line)
            if len(batch) >= BATCH_LINES or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if rest:
            pieces.append(rest)
    if (line := b"".join(pieces)).strip():
        _check_number(number + 1)
        batch.append((number + 1, line))
    if batch:
        yield batch


def _check_number(number: int) -> None:
    if number > MAX_LINES:
        raise InvalidOptionError("lines", f"more than {MAX_LINES:,} lines in one request: send several")
