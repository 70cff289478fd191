"""``POST /v1/embeddings`` and ``GET /v1/models``, as OpenAI's clients know them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from models.encoders.tokens import count_tokens
from models.errors import InvalidOptionError
from models.nesting import Nesting, truncate
from service.engine.engine import Engine
from service.errors import ServiceError
from service.routes.dependencies import deadline_of, engine_of, gone
from service.schemas.embeddings import EmbeddingAnswer, EmbeddingRequest, ModelOut, ModelsAnswer
from service.schemas.errors import ErrorAnswer
from service.schemas.inputs import as_texts, check_inputs

router = APIRouter(
    prefix="/v1",
    tags=["embeddings"],
    responses={status: {"model": ErrorAnswer} for status in (400, 404, 408, 413, 422, 503)},
)


@router.post("/embeddings", response_model=EmbeddingAnswer)
async def embeddings(
    request: EmbeddingRequest, http: Request, engine: Annotated[Engine, Depends(engine_of)]
) -> Response:
    """Embed texts by the index's model. Vectors have length 1; a text without a token the model knows gives zeros."""
    index, settings = engine.index, engine.settings
    model = index.manifest.model
    check_model(request.model, model.name)
    check_inputs(request.input, settings)
    size = checked_size(request.dimensions, model.nesting, settings.any_dimensions)

    def step() -> str:
        encoder = index.encoder
        texts = as_texts(request.input, encoder)
        query = request.input_type == "query"
        tokens = count_tokens(encoder, texts, encoder.prompts.query if query else encoder.prompts.document)
        vectors = encoder.encode_queries(texts) if query else encoder.encode_documents(texts)
        return EmbeddingAnswer.of(truncate(vectors, size), request, model_id(model.name), tokens).model_dump_json()

    answer = await engine.reads.run(step, deadline=deadline_of(http), gone=lambda: gone(http))
    return Response(answer, media_type="application/json")


@router.get("/models")
async def served_models(engine: Annotated[Engine, Depends(engine_of)]) -> ModelsAnswer:
    """Tell which model is served."""
    manifest = engine.index.manifest
    model = ModelOut(id=model_id(manifest.model.name), created=int(manifest.created.timestamp()))
    return ModelsAnswer(data=[model])


def model_id(name: str) -> str:
    """Return what clients call a model: its hub name, or the name of its directory."""
    return Path(name).name if Path(name).is_absolute() else name


def check_model(wanted: str | None, name: str) -> None:
    """Refuse a model that is not the one of that name; its last part is enough.

    Raises:
        ServiceError: 404.
    """
    if wanted is not None and wanted not in (name, Path(name).name):
        message = f"model {wanted!r:.200} is not served here: {model_id(name)!r} is"
        raise ServiceError(HTTPStatus.NOT_FOUND, "model_not_found", message, param="model")


def checked_size(wanted: int | None, nesting: Nesting, anything: bool) -> int:
    """Return the size to cut to.

    Raises:
        InvalidOptionError: the model was not trained for it, or has fewer dimensions.
    """
    if wanted is None:
        return nesting.dimension
    if wanted in nesting.sizes or (anything and wanted <= nesting.dimension):
        return wanted
    allowed = f"any from 1 to {nesting.dimension}" if anything else ", ".join(map(str, nesting.sizes))
    raise InvalidOptionError("dimensions", f"dimensions {wanted}: the model gives {allowed}")
