"""Finding an encoder by name."""

from __future__ import annotations

from pathlib import Path

from models.encoders.base import WORDLLAMA, Encoder
from models.errors import ModelError
from models.nesting import Nesting


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
    from models.encoders.static import StaticEncoder, is_static_directory

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

    from models.encoders.image import ImageModelEncoder
    from models.encoders.transformer import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder.load(
        name, nesting, query_prompt=query_prompt, document_prompt=document_prompt, device=device
    )
    return ImageModelEncoder.of(encoder) if "image" in encoder.model.modalities else encoder
