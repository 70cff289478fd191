"""Vision models to train: a small new model, or a base model, with the dimension required."""

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
    """Create a small residual network (He et al. 2015) with random weights from torch's seed.

    Three basic blocks over ``side`` x ``side`` pixels, mean pooling, and a linear map to ``dimension``. The map makes
    components signed, which short prefixes need more than rectified ones.
    """
    config = ResNetConfig(
        embedding_size=_CHANNELS[0], hidden_sizes=list(_CHANNELS), depths=[1] * len(_CHANNELS), layer_type="basic"
    )
    square = {"height": side, "width": side}
    with TemporaryDirectory() as folder:
        # sentence-transformers loads a network only from files.
        ResNetModel(config).save_pretrained(folder)
        ViTImageProcessorPil(size=square).save_pretrained(folder)
        network = Transformer(folder)
    modules = [network, Pooling(_CHANNELS[-1]), _map(_CHANNELS[-1], dimension)]
    return SentenceTransformer(modules=modules, device=device)


def base_vision_model(name: str, dimension: int, device: str) -> SentenceTransformer:
    """Load a model with an image side, and add a linear map if its vectors have another dimension.

    Raises:
        ModelError: there is no such model.
        InvalidOptionError: the model has no image side.
    """
    encoder = load_encoder(name, device=device)
    if not isinstance(encoder, ImageModelEncoder):
        raise InvalidOptionError("base", f"base {name!r} encodes no images: give a vision model, or no base")
    if encoder.dimension == dimension:
        return encoder.model
    return SentenceTransformer(modules=[*encoder.model.children(), _map(encoder.dimension, dimension)], device=device)


def _map(features: int, dimension: int) -> Dense:
    return Dense(features, dimension, bias=False, activation_function=None)
