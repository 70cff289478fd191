"""``/v1/documents``: reading, adding, replacing and deleting documents."""

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

from models.errors import AdaptiveRetrievalError, InvalidOptionError
from service.engine.engine import Engine
from service.errors import ServiceError
from service.routes.dependencies import engine_of, requested_deadline
from service.schemas.documents import (
    BulkAnswer,
    DeleteAnswer,
    DeleteRequest,
    DocumentChange,
    DocumentOut,
    put_lines,
    read_document,
)
from service.schemas.errors import ErrorAnswer

BATCH_LINES: Final = 256
BATCH_BYTES: Final = 1 << 20
MOST_LINES: Final = 100_000
"""Every line is reported: an answer must not take more memory than its request by far."""


class _Anything(StringConvertor):
    """The rest of the address. The framework's own ``path`` would drop a line break at the end, and match no other."""

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
    request: Request, id: Annotated[str, Path(description="May hold slashes and any other character.")]
) -> str:
    """Return the id that the address names.

    Raises:
        InvalidOptionError: it is empty, or not UTF-8: the server would have put other characters in its place.
    """
    try:
        unquote_to_bytes(request.scope.get("raw_path") or b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidOptionError("id", f"the id in the address is not UTF-8: {error.reason}") from None
    if not id:
        raise InvalidOptionError("id", "the id is empty")
    return id


Id = Annotated[str, Depends(id_of)]
Served = Annotated[Engine, Depends(engine_of)]
Deadline = Annotated[float | None, Depends(requested_deadline)]


@router.get("/{id:anything}", responses=_NOT_FOUND)
async def get(id: Id, engine: Served, deadline: Deadline) -> DocumentOut:
    """Read a document."""
    index = engine.index
    found = (await engine.run(lambda: index.get([id]), deadline)).get(id)
    if found is None:
        raise _missing(id)
    return DocumentOut(id=found.id, payload=found.payload)


@router.put(
    "/{id:anything}", responses={201: {"model": DocumentChange, "description": "Added; 200 where it was replaced."}}
)
async def put(
    id: Id,
    row: Annotated[
        dict[str, Any],
        Body(
            description="A row as in a corpus: `title`, `text` and any other fields, which can be filtered by and are "
            "in answers. `_vector`, numbers or base64 of float32, is stored in place of an encoding.",
            examples=[{"title": "Tides", "text": "The moon pulls the sea.", "year": 1990}],
            json_schema_extra={
                "anyOf": [{"required": [name]} for name in ("text", "title", "_vector")],
                "properties": {name: {"type": "string"} for name in ("text", "title")},
            },
        ),
    ],
    engine: Served,
    deadline: Deadline,
    response: Response,
) -> DocumentChange:
    """Add a document, or replace the one of that id. Once answered it is on disk, and found by every search.

    After 408, the answer to a deadline (`X-Timeout-Ms`) that passed, it may be there or not; put it again.
    """
    index = engine.index

    def step() -> DocumentChange:
        (done,) = index.put([read_document(id, row)])
        if done.result == "rejected":
            raise InvalidOptionError("document", done.reason)
        return DocumentChange(id=done.id, result=done.result)

    changed = await engine.write(step, deadline)
    response.status_code = HTTPStatus.CREATED if changed.result == "added" else HTTPStatus.OK
    return changed


@router.delete("/{id:anything}", responses=_NOT_FOUND)
async def delete(id: Id, engine: Served, deadline: Deadline) -> DocumentChange:
    """Delete a document. Once answered, no search finds it."""
    index = engine.index
    if not await engine.write(lambda: index.delete([id]), deadline):
        raise _missing(id)
    return DocumentChange(id=id, result="deleted")


@router.post("/delete")
async def delete_many(request: DeleteRequest, engine: Served, deadline: Deadline) -> DeleteAnswer:
    """Delete several documents at once."""
    index = engine.index
    return DeleteAnswer.of(request.ids, await engine.write(lambda: index.delete(request.ids), deadline))


@router.post("", response_model=BulkAnswer, openapi_extra=_LINES)
async def put_many(request: Request, engine: Served, deadline: Deadline) -> Response:
    """Add or replace many documents: JSON Lines, each a row as in a corpus with its `_id`.

    Lines that are no documents are rejected, with the reason; the others are stored. Of several with one id the last
    counts. Lines are stored as they come, some hundreds at a time: where the service cannot go on, the error says how
    many have been.
    """
    index = engine.index
    answer = BulkAnswer()
    stored = 0
    try:
        async for batch in _batches(request):
            answer.take(await engine.write(partial(put_lines, index, batch), deadline))
            stored = batch[-1][0]
    except ClientDisconnect:
        raise ServiceError(HTTPStatus.BAD_REQUEST, "client_gone", "the body broke off") from None
    except (ServiceError, AdaptiveRetrievalError) as error:
        if stored:
            error.add_note(f"lines 1 to {stored} have been stored")
        raise
    # Long reports would hold up the event loop.
    return Response(await asyncio.to_thread(answer.model_dump_json), media_type="application/json")


def _missing(identifier: str) -> ServiceError:
    return ServiceError(HTTPStatus.NOT_FOUND, "not_found", f"there is no document with id {identifier!r:.200}")


async def _batches(request: Request) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Cut a body into its lines, with their numbers, as it comes; blank ones are left out."""
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
    if number > MOST_LINES:
        raise InvalidOptionError("lines", f"more than {MOST_LINES:,} lines in one request: send several")
