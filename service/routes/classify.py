"""``POST /v1/classify``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from indexer import encode_images
from models import Cascade, Classifier, ImageEncoder, ImageError, InvalidOptionError, Vectors
from models.classifier.cascade import choose
from service.errors import ServiceError
from service.routes.dependencies import EngineOf, client_disconnected, deadline_of
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
async def classify(request: ClassifyRequest, http: Request, engine: EngineOf) -> Response:
    """Classify texts or images adaptively: the shortest prefix that is confident enough decides each one."""
    _ = engine.index
    classifier = engine.classifier
    if classifier is None:
        raise ServiceError(
            HTTPStatus.NOT_FOUND,
            "no_classifier",
            "no classifier is served: train one with mrl train, from rows with text and label or from a folder of "
            "images per label, and pass its directory to mrl serve --classifier",
        )
    check_items(classifier, request, engine.settings)
    cascade = choose_cascade(classifier, request)

    def step() -> str:
        if request.images is None:
            results = classifier.classify(request.input or [], dims=request.dims, cascade=cascade)
        else:
            vectors = image_vectors(classifier, request.images, engine.settings)
            results = classifier.classify_vectors(vectors, dims=request.dims, cascade=cascade)
        answer = ClassifyAnswer.from_results(results, model_id(classifier.encoder.name), cascade, request)
        return answer.model_dump_json()

    answer = await engine.reads.run(
        step, deadline=deadline_of(http), client_disconnected=lambda: client_disconnected(http)
    )
    return Response(answer, media_type="application/json")


def check_items(classifier: Classifier, request: ClassifyRequest, settings: Settings) -> None:
    """Refuse inputs of the wrong kind for the classifier, or more than the settings allow.

    Raises:
        InvalidOptionError: with the name of the option.
    """
    if request.input is not None:
        if classifier.of_images:
            raise InvalidOptionError("input", "this classifier is for images: give images instead of input")
        check_inputs(request.input, settings)
        return
    images = request.images or []
    if not classifier.of_images:
        raise InvalidOptionError("images", "this classifier is for texts: give input instead of images")
    if not 1 <= len(images) <= settings.max_images:
        raise InvalidOptionError("images", f"{len(images)} images: this service allows 1 to {settings.max_images}")


def image_vectors(classifier: Classifier, images: Sequence[str], settings: Settings) -> Vectors:
    """Decode and encode the images of a request.

    Returns:
        unit vectors, float32, shape (len(images), D).

    Raises:
        InvalidOptionError: an image cannot be read.
    """
    assert isinstance(classifier.encoder, ImageEncoder)
    try:
        return encode_images(classifier.encoder, decode_images(images, "images", settings.max_image_pixels))
    except ImageError as error:
        raise InvalidOptionError("images", str(error)) from error


def choose_cascade(classifier: Classifier, request: ClassifyRequest) -> Cascade | None:
    """Return the cascade to use; None if the request names a single size.

    Raises:
        InvalidOptionError: the request has a target accuracy, and the classifier has no cascades.
    """
    if request.dims is not None:
        return None
    if request.accuracy is None:
        return classifier.cascade
    if not classifier.curve:
        raise InvalidOptionError("accuracy", "the classifier has no cascades to choose from by accuracy")
    return choose(list(classifier.curve), request.accuracy)
