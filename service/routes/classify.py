"""``POST /v1/classify``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from indexer.encoding import encode_images
from models.classifier.cascade import Cascade, choose
from models.classifier.classifier import Classifier
from models.encoders.base import ImageEncoder
from models.errors import ImageError, InvalidOptionError
from models.nesting import Vectors
from service.engine.engine import Engine
from service.errors import ServiceError
from service.routes.dependencies import deadline_of, engine_of, gone
from service.routes.embeddings import model_id
from service.schemas.classify import ClassifyAnswer, ClassifyRequest
from service.schemas.errors import ErrorAnswer
from service.schemas.images import decode_images
from service.schemas.inputs import check_inputs
from service.settings import Settings

router = APIRouter(
    prefix="/v1",
    tags=["classification"],
    responses={status: {"model": ErrorAnswer} for status in (400, 404, 408, 413, 422, 503)},
)


@router.post("/classify", response_model=ClassifyAnswer)
async def classify(request: ClassifyRequest, http: Request, engine: Annotated[Engine, Depends(engine_of)]) -> Response:
    """Classify texts or images adaptively: each is answered by the shortest prefix that is sure enough of it."""
    _ = engine.index
    classifier = engine.classifier
    if classifier is None:
        raise ServiceError(
            HTTPStatus.NOT_FOUND,
            "no_classifier",
            "no classifier is served: train one with mrl train from rows with text and label or from a folder of "
            "images for each label, and name its directory by --classifier",
        )
    check_items(classifier, request, engine.settings)
    cascade = chosen(classifier, request)

    def step() -> str:
        if request.images is None:
            found = classifier.classify(request.input or [], dims=request.dims, cascade=cascade)
        else:
            vectors = image_vectors(classifier, request.images, engine.settings)
            found = classifier.classify_vectors(vectors, dims=request.dims, cascade=cascade)
        return ClassifyAnswer.of(found, model_id(classifier.encoder.name), cascade, request).model_dump_json()

    answer = await engine.reads.run(step, deadline=deadline_of(http), gone=lambda: gone(http))
    return Response(answer, media_type="application/json")


def check_items(classifier: Classifier, request: ClassifyRequest, settings: Settings) -> None:
    """Refuse what the classifier was not trained on, and more than the settings allow.

    Raises:
        InvalidOptionError: the option is named.
    """
    if request.input is not None:
        if classifier.of_images:
            raise InvalidOptionError("input", "the classifier is one of images: give images and no texts")
        check_inputs(request.input, settings)
        return
    images = request.images or []
    if not classifier.of_images:
        raise InvalidOptionError("images", "the classifier is one of texts: give input and no images")
    if not 1 <= len(images) <= settings.max_images:
        raise InvalidOptionError("images", f"{len(images)} images: this service allows 1 to {settings.max_images}")


def image_vectors(classifier: Classifier, images: Sequence[str], settings: Settings) -> Vectors:
    """Decode and encode the images of a request.

    Raises:
        InvalidOptionError: one cannot be read.
    """
    assert isinstance(classifier.encoder, ImageEncoder)
    try:
        return encode_images(classifier.encoder, decode_images(images, "images", settings.max_image_pixels))
    except ImageError as error:
        raise InvalidOptionError("images", str(error)) from error


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
