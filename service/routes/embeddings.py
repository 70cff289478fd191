"""``POST /v1/embeddings`` and ``GET /v1/models``, compatible with OpenAI's clients."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response

from models import InvalidOptionError, Nesting, count_tokens, truncate
from service.errors import ServiceError
from service.routes.dependencies import EngineOf, client_disconnected, deadline_of
from service.schemas.embeddings import EmbeddingAnswer, EmbeddingRequest, ModelOut, ModelsAnswer
from service.schemas.errors import ErrorAnswer
from service.schemas.inputs import as_texts, check_inputs

router = APIRouter(
    prefix="/v1",
    tags=["embeddings"],
    responses={status: {"model": ErrorAnswer} for status in (400, 404, 408, 413, 422, 503)},
)


@router.post("/embeddings", response_model=EmbeddingAnswer)
async def embeddings(request: EmbeddingRequest, http: Request, engine: EngineOf) -> Response:
    """Embed texts with the index's model. Vectors have length 1, or are zero if the model knows no token of a text."""
    index, settings = engine.index, engine.settings
    model = index.manifest.model
    check_model(request.model, model.name)
    check_inputs(request.input, settings)
    dims = check_dimensions(request.dimensions, model.nesting, settings.any_dimensions)

    def step() -> str:
        encoder = index.encoder
        texts = as_texts(request.input, encoder)
        query = request.input_type == "query"
        tokens = count_tokens(encoder, texts, encoder.prompts.query if query else encoder.prompts.document)
        vectors = encoder.encode_queries(texts) if query else encoder.encode_documents(texts)
        answer = EmbeddingAnswer.from_vectors(truncate(vectors, dims), request, model_id(model.name), tokens)
        return answer.model_dump_json()

    answer = await engine.reads.run(
        step, deadline=deadline_of(http), client_disconnected=lambda: client_disconnected(http)
    )
    return Response(answer, media_type="application/json")


@router.get("/models")
async def served_models(engine: EngineOf) -> ModelsAnswer:
    """List the served model."""
    manifest = engine.index.manifest
    model = ModelOut(id=model_id(manifest.model.name), created=int(manifest.created.timestamp()))
    return ModelsAnswer(data=[model])


def model_id(name: str) -> str:
    """Return the name of a model for clients: its hub name, or the name of its directory."""
    return Path(name).name if Path(name).is_absolute() else name


def check_model(wanted: str | None, name: str) -> None:
    """Refuse a model other than the served one; the last part of its name is enough.

    Raises:
        ServiceError: 404, because the model is not served.
    """
    if wanted is not None and wanted not in (name, Path(name).name):
        message = f"model {wanted!r:.200} is not served here; the served model is {model_id(name)!r}"
        raise ServiceError(HTTPStatus.NOT_FOUND, "model_not_found", message, param="model")


def check_dimensions(wanted: int | None, nesting: Nesting, any_size: bool) -> int:
    """Return the prefix size to truncate to.

    Raises:
        InvalidOptionError: the model was not trained for the size, or has fewer dimensions.
    """
    if wanted is None:
        return nesting.dimension
    if wanted in nesting.sizes or (any_size and wanted <= nesting.dimension):
        return wanted
    allowed = f"any from 1 to {nesting.dimension}" if any_size else ", ".join(map(str, nesting.sizes))
    raise InvalidOptionError("dimensions", f"dimensions {wanted}: allowed for this model are {allowed}")
