"""The interfaces of encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from models.nesting import Nesting, Vectors

if TYPE_CHECKING:
    from PIL import Image
    from tokenizers import Tokenizer

WORDLLAMA = "wordllama"
"""Name of the built-in static encoder."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Text that a model expects before a query and before a document; empty if it expects none.

    >>> Prompts(query="search_query: ", document="search_document: ")
    """

    query: str = ""
    document: str = ""

    @classmethod
    def chosen(cls, own: Mapping[str, str | None], query: str | None, document: str | None) -> Self:
        """Return a model's own prompts, replaced by the given ones.

        Args:
            own: the model's prompts under sentence-transformers' names ``query`` and ``document``.
            query, document: replace the model's own prompt unless None.
        """
        return cls(
            own.get("query") or "" if query is None else query,
            own.get("document") or "" if document is None else document,
        )


@runtime_checkable
class Encoder(Protocol):
    """Encodes texts as unit vectors whose prefixes are embeddings too.

    >>> encoder = load_encoder("wordllama")
    >>> documents = encoder.encode_documents(["Rain is likely.", "Markets fell."])  # shape (2, 256), unit rows
    >>> queries = encoder.encode_queries(["weather"])
    >>> scores = queries @ documents.T  # cosines, shape (1, 2)

    Attributes:
        name: the name that :func:`models.load_encoder` finds the model by.
        dimension: the full dimension D.
        nesting: the sizes the model was trained for.
        prompts: the text put before queries and documents.
        content_hash: sha256 of everything that determines the vectors: weights, tokenizer and prompts. Encoders with
            the same hash produce the same vectors.
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
        """Encode documents: float32, shape (len(texts), D), unit rows; a text without a known token gives zeros.

        Raises:
            InvalidOptionError: ``texts`` is a single text, not a list.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries; same shape and scale as :meth:`encode_documents`."""
        ...


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """An encoder of images and, if the model has a text side, of texts in the same vector space."""

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode images as :func:`models.read_image` returns them: float32, shape (len(images), D), unit rows."""
        ...


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """An encoder whose tokenizer can be used on its own, from any number of threads."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Truncates texts where the model does and never pads; None if the model's tokenizer is of another library."""
        ...

    @property
    def special_tokens(self) -> bool:
        """Whether the model adds special tokens around a text."""
        ...
