"""What every encoder offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from PIL import Image

from models.nesting import Nesting, Vectors

WORDLLAMA = "wordllama"


@dataclass(frozen=True, slots=True)
class Prompts:
    """Text a model wants in front of a query and of a document; empty where it wants none."""

    query: str = ""
    document: str = ""

    @classmethod
    def chosen(cls, own: Mapping[str, str | None], query: str | None, document: str | None) -> Self:
        """Take a model's own prompts, by the names sentence-transformers gives them, except where one is given."""
        return cls(
            own.get("query") or "" if query is None else query,
            own.get("document") or "" if document is None else document,
        )


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into unit vectors whose prefixes are embeddings too.

    Attributes:
        name: what :func:`load_encoder` finds the model by.
        dimension: the full size D.
        nesting: the sizes the model was trained for.
        prompts: what is put in front of texts.
        content_hash: sha256 of everything that decides the vectors: weights, tokenizer, prompts. Two encoders
            with the same hash give the same vectors.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def dimension(self) -> int:
        """See the class."""
        ...

    @property
    def nesting(self) -> Nesting:
        """See the class."""
        ...

    @property
    def prompts(self) -> Prompts:
        """See the class."""
        ...

    @property
    def content_hash(self) -> str:
        """See the class."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode documents: float32, shape (len(texts), D), unit rows; a text without a known token gives zeros."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries; same shape and scale as :meth:`encode_documents`."""
        ...


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """An encoder whose vectors of images and, where it has a text side, of texts can be compared."""

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode images as from :func:`models.data.images.read_image`: float32, shape (len(images), D), unit rows."""
        ...
