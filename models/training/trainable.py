"""Conversion between encoders, which only encode, and modules with trainable weights."""

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
"""Relative to the spread of the table: small, so that a widened table ranks as before until it is trained."""


def widened(encoder: Encoder, width: int, seed: int) -> StaticEncoder:
    """Append random columns to a static table, for training to use.

    Args:
        encoder: its vectors become the first dimensions of the result's, up to scale.
        width: the new D, above the encoder's.
        seed: seed of the new columns.

    Returns:
        An encoder with the nesting ``Nesting.halving(width)``.

    Raises:
        InvalidOptionError: the encoder is not a static table, or is that wide already.
    """
    if not isinstance(encoder, StaticEncoder):
        raise InvalidOptionError(
            "width", f"width {width}: only a static table can be widened, and {encoder.name!r} is none; omit the width"
        )
    if width <= encoder.dimension:
        raise InvalidOptionError(
            "width", f"width {width}: {encoder.name!r} already has {encoder.dimension} dimensions, give more"
        )
    shape = len(encoder.table), width - encoder.dimension
    new = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    new *= np.float32(_NEW_COLUMN_SCALE * encoder.table.std())
    return replace(encoder, table=np.concatenate([encoder.table, new], axis=1), nesting=Nesting.halving(width))


def as_trainable(encoder: Encoder, device: str) -> SentenceTransformer:
    """Return an encoder as a module with trainable weights; a static table is copied.

    Raises:
        TrainingError: the encoder is neither a static table nor a sentence-transformers model.
    """
    if isinstance(encoder, StaticEncoder):
        tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())
        module = StaticEmbedding(tokenizer, embedding_weights=torch.from_numpy(encoder.table.copy()))
        prompts = {"query": encoder.prompts.query, "document": encoder.prompts.document}
        return SentenceTransformer(modules=[module], device=device, prompts=prompts)
    if isinstance(encoder, SentenceTransformerEncoder):
        return encoder.model
    kind = type(encoder).__name__
    raise TrainingError(
        f"a base of type {kind} cannot be trained: give a static table or a sentence-transformers model"
    )


def as_encoder(name: str, model: SentenceTransformer, nesting: Nesting, prompts: Prompts) -> Encoder:
    """Return a trained module as an encoder; a static table gets the faster encoder for tables."""
    if len(model) == 1 and isinstance(model[0], StaticEmbedding):
        table = model[0].embedding.weight.detach().cpu().numpy()
        return StaticEncoder(name, nesting, prompts, table, model[0].tokenizer)
    return SentenceTransformerEncoder(name, model, nesting, prompts)
