"""Loading an encoder by name."""

from __future__ import annotations

from pathlib import Path

from models.encoders.base import WORDLLAMA, Encoder
from models.errors import ModelError
from models.nesting import Nesting


def load_encoder(
    name: str | Path,
    *,
    nesting: Nesting | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    device: str = "auto",
) -> Encoder:
    """Load an encoder by name.

    >>> load_encoder("wordllama")  # built in, offline
    >>> load_encoder("runs/my-model", device="cpu")  # a model directory
    >>> load_encoder("nomic-ai/nomic-embed-text-v1.5", query_prompt="search_query: ")  # a model of the Hugging Face hub

    Args:
        name: ``wordllama`` (built in, offline), a model directory, or the hub name of a sentence-transformers model or
            of a vision or CLIP-like model. An encoder with an image side is an :class:`models.ImageEncoder`.
        nesting: the sizes the model was trained for; by default those recorded in its directory, or D halved
            repeatedly.
        query_prompt, document_prompt: replace the model's own prompts.
        device: ``auto``, ``cpu`` or ``cuda``. Static encoders always run on the CPU.

    Raises:
        ModelError: there is no such model, or its files cannot be read.
    """
    # Imported here because the transformer encoder imports torch, which takes seconds that a static table can spare.
    from models.encoders.static import StaticEncoder, is_static_directory

    name = str(name)
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
        return StaticEncoder.from_directory(
            path, nesting=nesting, query_prompt=query_prompt, document_prompt=document_prompt
        )

    from models.encoders.image import ImageModelEncoder
    from models.encoders.transformer import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder.load(
        name, nesting=nesting, query_prompt=query_prompt, document_prompt=document_prompt, device=device
    )
    return ImageModelEncoder.of(encoder) if "image" in encoder.model.modalities else encoder
