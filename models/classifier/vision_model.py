"""Vision models to train: a small new one, or a base, each ending in the dimension wanted."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import ResNetConfig, ResNetModel, ViTImageProcessorPil

from models.encoders.image import ImageModelEncoder
from models.encoders.load import load_encoder
from models.errors import InvalidOptionError

_CHANNELS = (32, 64, 128)


def new_vision_model(dimension: int, side: int, device: str) -> SentenceTransformer:
    """Make a small residual network (He et al. 2015) with random weights, drawn from torch's seed.

    Three basic blocks over an image of ``side`` x ``side`` pixels, the mean over places, and a linear map to
    ``dimension``: signed components, which short prefixes need more than rectified ones.
    """
    config = ResNetConfig(
        embedding_size=_CHANNELS[0], hidden_sizes=list(_CHANNELS), depths=[1] * len(_CHANNELS), layer_type="basic"
    )
    square = {"height": side, "width": side}
    with TemporaryDirectory() as folder:
        # sentence-transformers takes a network from files alone.
        ResNetModel(config).save_pretrained(folder)
        ViTImageProcessorPil(size=square).save_pretrained(folder)
        network = Transformer(folder)
    modules = [network, Pooling(_CHANNELS[-1]), _map(_CHANNELS[-1], dimension)]
    return SentenceTransformer(modules=modules, device=device)


def base_vision_model(name: str, dimension: int, device: str) -> SentenceTransformer:
    """Load a model with an image side; where its vectors have another dimension, a linear map follows them.

    Raises:
        ModelError: no such model.
        InvalidOptionError: a model without an image side.
    """
    encoder = load_encoder(name, device=device)
    if not isinstance(encoder, ImageModelEncoder):
        raise InvalidOptionError("base", f"base {name!r} encodes no images: give a vision model, or none for a new one")
    if encoder.dimension == dimension:
        return encoder.model
    return SentenceTransformer(modules=[*encoder.model.children(), _map(encoder.dimension, dimension)], device=device)


def _map(features: int, dimension: int) -> Dense:
    return Dense(features, dimension, bias=False, activation_function=None)
