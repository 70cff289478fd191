"""Between encoders, which only encode, and modules, whose weights train."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from models.encoders import Encoder, Prompts
from models.errors import TrainingError
from models.nesting import Nesting
from models.static_encoder import StaticEncoder
from models.transformer_encoder import SentenceTransformerEncoder


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
