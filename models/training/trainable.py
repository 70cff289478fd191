"""Between encoders, which only encode, and modules, whose weights train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from models.encoders.base import Encoder, Prompts
from models.encoders.static import StaticEncoder
from models.encoders.transformer import SentenceTransformerEncoder
from models.errors import InvalidOptionError, TrainingError
from models.nesting import Nesting

_NEW_COLUMN_SCALE = 0.1
"""Of the table's own spread: small, so that a widened table ranks as before until it is trained."""


def widened(encoder: Encoder, width: int, seed: int) -> StaticEncoder:
    """Append random columns to a static table: room for training to use, after the dimensions it already has.

    Args:
        encoder: its vectors are the first dimensions of the result's, up to scale.
        width: the new D, above the encoder's.
        seed: of the new columns.

    Returns:
        An encoder whose nesting is halving from ``width``.

    Raises:
        InvalidOptionError: not a static table, or one that is that wide already.
    """
    if not isinstance(encoder, StaticEncoder):
        raise InvalidOptionError(
            "width", f"width {width}: only a static table can be widened, and {encoder.name!r} is a transformer"
        )
    if width <= encoder.dimension:
        raise InvalidOptionError(
            "width", f"width {width}: {encoder.name!r} has {encoder.dimension} dimensions already, give more"
        )
    shape = len(encoder.table), width - encoder.dimension
    new = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    new *= np.float32(_NEW_COLUMN_SCALE * encoder.table.std())
    return replace(encoder, table=np.concatenate([encoder.table, new], axis=1), nesting=Nesting.halving(width))


def as_trainable(encoder: Encoder, device: str) -> SentenceTransformer:
    """Turn an encoder into a module whose weights train; a static table is copied.

    Raises:
        TrainingError: an encoder of another making.
    """
    if isinstance(encoder, StaticEncoder):
        tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())
        module = StaticEmbedding(tokenizer, embedding_weights=torch.from_numpy(encoder.table.copy()))
        prompts = {"query": encoder.prompts.query, "document": encoder.prompts.document}
        return SentenceTransformer(modules=[module], device=device, prompts=prompts)
    if isinstance(encoder, SentenceTransformerEncoder):
        return encoder.model
    raise TrainingError(f"a base of type {type(encoder).__name__} cannot be trained")


def as_encoder(name: str, model: SentenceTransformer, nesting: Nesting, prompts: Prompts) -> Encoder:
    """Wrap a model in training as an encoder; a static table by the faster encoder made for it."""
    if len(model) == 1 and isinstance(model[0], StaticEmbedding):
        table = model[0].embedding.weight.detach().cpu().numpy()
        return StaticEncoder(name, nesting, prompts, table, model[0].tokenizer)
    return SentenceTransformerEncoder(name, model, nesting, prompts)
