"""Documents become vectors: by their images where they have one, by their texts where not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from indexer.corpus import Document
from models.encoders import Encoder
from models.errors import ImageError, ModelError
from models.images import ImageEncoder, read_image
from models.nesting import Vectors

_IMAGES_AT_ONCE = 128
_PIXELS_AT_ONCE = 64_000_000
"""Read images wait in memory, 3 bytes a pixel, until there are so many; one more may go over it."""


def encode_documents(encoder: Encoder, documents: Sequence[Document]) -> tuple[Vectors, list[str]]:
    """Encode documents.

    Returns:
        Vectors, float32, shape (len(documents), D), and for each document why it cannot be taken: its image cannot be
        read, or the model gave no finite vector. Empty where it can.

    Raises:
        ModelError: a document has an image and the model no image side.
        InvalidOptionError: a document has none and the model no text side.
    """
    problems = [""] * len(documents)
    vectors = np.zeros((len(documents), encoder.dimension), np.float32)
    texts = [place for place, document in enumerate(documents) if document.image is None]
    if texts:
        vectors[texts] = encoder.encode_documents([documents[place].text for place in texts])
    if len(texts) < len(documents):
        if not isinstance(encoder, ImageEncoder):
            raise ModelError(f"model {encoder.name!r} encodes no images: give one of the CLIP kind, or a vision model")
        for places, images in _read(documents, problems):
            vectors[places] = encoder.encode_images(images)
    for place in np.flatnonzero(~np.isfinite(vectors.sum(axis=1))).tolist():
        problems[place] = "the model gave NaN or infinity"
    return vectors, problems


def _read(documents: Sequence[Document], problems: list[str]) -> Iterator[tuple[list[int], list[Image.Image]]]:
    """Read images a few at a time, with their places; take down why one cannot be read."""
    places: list[int] = []
    images: list[Image.Image] = []
    for place, document in enumerate(documents):
        if document.image is None:
            continue
        try:
            images.append(read_image(document.image))
        except ImageError as error:
            problems[place] = error.reason
            continue
        places.append(place)
        if len(images) >= _IMAGES_AT_ONCE or sum(image.width * image.height for image in images) >= _PIXELS_AT_ONCE:
            yield places, images
            places, images = [], []
    if images:
        yield places, images
