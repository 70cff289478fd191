"""Nested (Matryoshka) embeddings: encoders, their sizes, and how they are trained.

Training draws in torch and is imported from ``models.training.contrastive`` by those who train.
"""

from models.encoders.base import Encoder, Prompts
from models.encoders.load import load_encoder
from models.errors import AdaptiveRetrievalError, DataError, InvalidOptionError, ModelError, TrainingError
from models.nesting import Nesting, truncate

__all__ = [
    "AdaptiveRetrievalError",
    "DataError",
    "Encoder",
    "InvalidOptionError",
    "ModelError",
    "Nesting",
    "Prompts",
    "TrainingError",
    "load_encoder",
    "truncate",
]
