"""What every encoder offers, and how one is found by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from models.errors import ModelError
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


def load_encoder(
    name: str,
    *,
    nesting: Nesting | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    device: str = "auto",
) -> Encoder:
    """Find an encoder by name.

    Args:
        name: ``wordllama`` (built in, offline), a model directory, or a hub name: of a sentence-transformers model, or
            of a vision or CLIP-like model of transformers, whose encoder has ``encode_images`` too.
        nesting: the sizes the model was trained for, where the model does not record them itself.
        query_prompt, document_prompt: replace the model's own prompts.
        device: ``auto``, ``cpu`` or ``cuda``; static tables always run on the CPU.

    Raises:
        ModelError: no such model, or its files cannot be read.
    """
    # Imported here because the transformer encoder draws in torch: seconds that a static table does not need.
    from models.static_encoder import StaticEncoder, is_static_directory

    if name == WORDLLAMA:
        return StaticEncoder.wordllama(nesting=nesting, query_prompt=query_prompt, document_prompt=document_prompt)
    path = Path(name).expanduser()
    if not path.is_dir() and (
        path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    ):
        raise ModelError(f"model {name!r}: no such directory; give 'wordllama', a model directory or a hub name")
    if path.is_dir():
        # Absolute, because an index records the name and is opened from other working directories.
        path = path.resolve()
        name = str(path)
    if path.is_dir() and is_static_directory(path):
        return StaticEncoder.from_directory(path, nesting, query_prompt=query_prompt, document_prompt=document_prompt)

    from models.image_encoder import ImageModelEncoder
    from models.transformer_encoder import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder.load(
        name, nesting, query_prompt=query_prompt, document_prompt=document_prompt, device=device
    )
    return ImageModelEncoder.of(encoder) if "image" in encoder.model.modalities else encoder
