"""An encoder of images that needs no model, and pictures for it."""

import io

import numpy as np
from PIL import Image

from tests.conftest import DIMENSION, make_encoder

TEXTS = make_encoder()


class ByColour:
    """Encodes texts as the small encoder does, and an image by its mean red; keeps the size of each batch."""

    name, dimension, nesting, prompts = TEXTS.name, TEXTS.dimension, TEXTS.nesting, TEXTS.prompts
    content_hash, encode_documents, encode_queries = TEXTS.content_hash, TEXTS.encode_documents, TEXTS.encode_queries

    def __init__(self):
        self.batches = []

    def encode_images(self, images):
        self.batches.append(len(images))
        vectors = np.zeros((len(images), DIMENSION), np.float32)
        vectors[:, 0] = [np.asarray(image)[..., 0].mean() for image in images]
        return vectors


def png(red, size=(4, 4)):
    stream = io.BytesIO()
    Image.new("RGB", size, (red, 0, 0)).save(stream, "PNG")
    return stream.getvalue()
