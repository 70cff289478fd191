"""``POST /v1/classify``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from models.cascade import Cascade, choose
from models.classifier import Classifier
from models.errors import InvalidOptionError
from service.dependencies import deadline_of, engine_of, gone
from service.engine import Engine
from service.errors import ServiceError
from service.routes.embeddings import model_id
from service.schemas.classify import ClassifyAnswer, ClassifyRequest
from service.schemas.errors import ErrorAnswer
from service.schemas.inputs import check_inputs

router = APIRouter(
    prefix="/v1",
    tags=["classification"],
    responses={status: {"model": ErrorAnswer} for status in (400, 404, 408, 413, 422, 503)},
)


@router.post("/classify", response_model=ClassifyAnswer)
async def classify(request: ClassifyRequest, http: Request, engine: Annotated[Engine, Depends(engine_of)]) -> Response:
    """Classify texts adaptively: each is answered by the shortest prefix that is sure enough of it."""
    _ = engine.index
    classifier = engine.classifier
    if classifier is None:
        raise ServiceError(
            HTTPStatus.NOT_FOUND,
            "no_classifier",
            "no classifier is served: train one with mrl train from rows with text and label, and name its directory "
            "by --classifier",
        )
    check_inputs(request.input, engine.settings)
    cascade = chosen(classifier, request)

    def step() -> str:
        found = classifier.classify(request.input, dims=request.dims, cascade=cascade)
        return ClassifyAnswer.of(found, model_id(classifier.encoder.name), cascade, request).model_dump_json()

    answer = await engine.reads.run(step, deadline=deadline_of(http), gone=lambda: gone(http))
    return Response(answer, media_type="application/json")


def chosen(classifier: Classifier, request: ClassifyRequest) -> Cascade | None:
    """Return the cascade that answers; None where one size does.

    Raises:
        InvalidOptionError: an accuracy is wanted of a classifier without cascades.
    """
    if request.dims is not None:
        return None
    if request.accuracy is None:
        return classifier.cascade
    if not classifier.curve:
        raise InvalidOptionError("accuracy", "the classifier has no cascades to choose by accuracy")
    return choose(list(classifier.curve), request.accuracy)
