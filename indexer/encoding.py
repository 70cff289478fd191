"""Encoding documents: a document's own vector if it has one, else that of its image, else that of its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from indexer.corpus import Document
from models.data.images import ImageSource, read_image
from models.encoders.base import Encoder, ImageEncoder
from models.errors import ImageError, ModelError
from models.nesting import Vectors, truncate

_IMAGES_AT_ONCE = 128
_PIXELS_AT_ONCE = 64_000_000
"""Images are held decoded, at 3 bytes per pixel, until a batch has this many pixels; the last may exceed it."""


def encode_documents(encoder: Encoder, documents: Sequence[Document]) -> tuple[Vectors, list[str]]:
    """Encode documents.

    Returns:
        vectors, float32, shape (n, D), and for each document why it is rejected: its own vector has the wrong size or
        is not finite, its image cannot be read, or the model returned a vector that is not finite. Empty if accepted.

    Raises:
        ModelError: a document has an image, and the model encodes no images.
        InvalidOptionError: a document has a text only, and the model encodes no texts.
    """
    problems = [""] * len(documents)
    vectors = np.zeros((len(documents), encoder.dimension), np.float32)
    _take_own(documents, vectors, problems)
    encoded = [place for place, document in enumerate(documents) if document.vector is None]
    texts = [place for place in encoded if documents[place].image is None]
    if texts:
        vectors[texts] = encoder.encode_documents([documents[place].full_text for place in texts])
    if len(texts) < len(encoded):
        if not isinstance(encoder, ImageEncoder):
            raise ModelError(f"model {encoder.name!r} encodes no images: give a CLIP-like model or a vision model")
        sources = [(place, image) for place in encoded if (image := documents[place].image) is not None]
        for places, images in _read(sources, problems):
            vectors[places] = encoder.encode_images(images)
    for place in np.flatnonzero(~np.isfinite(vectors.sum(axis=1))).tolist():
        problems[place] = "the model gave NaN or infinity"
    return vectors, problems


def encode_images(encoder: ImageEncoder, sources: Sequence[ImageSource]) -> Vectors:
    """Encode images, holding a batch in memory at a time.

    Returns:
        float32, shape (n, D).

    Raises:
        ImageError: an image cannot be read.
    """
    problems = [""] * len(sources)
    vectors = np.zeros((len(sources), encoder.dimension), np.float32)
    for places, images in _read(list(enumerate(sources)), problems):
        vectors[places] = encoder.encode_images(images)
    if any(problems):
        place = next(place for place, problem in enumerate(problems) if problem)
        raise ImageError(sources[place], problems[place])
    return vectors


def _take_own(documents: Sequence[Document], vectors: Vectors, problems: list[str]) -> None:
    """Fill in the documents' own vectors, normalised; record why a vector is rejected."""
    for place, document in enumerate(documents):
        own = document.vector
        if own is None:
            continue
        if own.shape != vectors.shape[1:]:
            problems[place] = f"its vector has {own.size} numbers: the index has {vectors.shape[1]} dimensions"
        elif not np.isfinite(own).all():
            problems[place] = "its vector holds NaN or infinity"
        else:
            vectors[place] = truncate(own, own.size)


def _read(
    sources: Sequence[tuple[int, ImageSource]], problems: list[str]
) -> Iterator[tuple[list[int], list[Image.Image]]]:
    """Yield batches of images with their positions; record why an image cannot be read."""
    places: list[int] = []
    images: list[Image.Image] = []
    for place, source in sources:
        try:
            images.append(read_image(source))
        except ImageError as error:
            problems[place] = error.reason
            continue
        places.append(place)
        if len(images) >= _IMAGES_AT_ONCE or sum(image.width * image.height for image in images) >= _PIXELS_AT_ONCE:
            yield places, images
            places, images = [], []
    if images:
        yield places, images
