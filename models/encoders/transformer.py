"""Any sentence-transformers model, from a directory or a hub."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

# Set before the hub client is imported: this project sends no telemetry.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from models.data.lists import check_list
from models.directory.files import checked_nesting, recorded_nesting
from models.encoders.base import Prompts
from models.encoders.device import choose_device
from models.errors import ModelError
from models.nesting import Nesting, Vectors, truncate


class SentenceTransformerEncoder:
    """A ``SentenceTransformer`` as an encoder.

    Prompts are the model's own ``query`` and ``document`` prompts unless replaced. :func:`models.load_encoder` loads
    models by name; construct this class to use a model that is already in memory:

    >>> model = SentenceTransformer("all-MiniLM-L6-v2")
    >>> SentenceTransformerEncoder("minilm", model, nesting=None, prompts=Prompts())
    """

    def __init__(self, name: str, model: SentenceTransformer, nesting: Nesting | None, prompts: Prompts) -> None:
        self.name = name
        self.model = model
        self.prompts = prompts
        dimension = model.get_embedding_dimension()
        self.dimension = int(dimension)
        self.nesting = checked_nesting(name, self.dimension, nesting)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        nesting: Nesting | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        device: str = "auto",
    ) -> SentenceTransformerEncoder:
        """Load a model from a directory (without network access) or by hub name (downloaded unless cached).

        Args:
            name: the directory or the hub name.
            nesting, query_prompt, document_prompt, device: see :func:`models.load_encoder`.

        Raises:
            ModelError: there is no such model, or its files cannot be read.
        """
        name = str(name)
        path = Path(name).expanduser()
        local = path.is_dir()
        try:
            model = SentenceTransformer(
                str(path) if local else name, device=choose_device(device), local_files_only=local
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            where = (
                "is not a sentence-transformers directory" if local else "is neither a directory nor reachable on a hub"
            )
            raise ModelError(f"model {name!r} {where}: {error}") from error
        prompts = Prompts.chosen(model.prompts or {}, query_prompt, document_prompt)
        return cls(name, model, nesting or (recorded_nesting(path) if local else None), prompts)

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the weights, the tokenizer and the prompts."""
        digest = hashlib.sha256()
        for key, tensor in sorted(self.model.state_dict().items()):
            digest.update(key.encode() + str(tensor.dtype).encode())
            # Viewed as bytes, because NumPy has no bfloat16.
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        tokenizer = self._plain_tokenizer()
        for text in (str(tokenizer.to_str()) if tokenizer else "", self.prompts.query, self.prompts.document):
            digest.update(b"\0" + text.encode())
        return digest.hexdigest()

    @cached_property
    def tokenizer(self) -> Tokenizer | None:
        """A copy of the model's tokenizer, so that counting tokens does not interfere with a thread that encodes."""
        tokenizer = self._plain_tokenizer()
        longest = getattr(self.model, "max_seq_length", None)
        if tokenizer and isinstance(longest, int):
            tokenizer.enable_truncation(longest)
        return tokenizer

    @property
    def special_tokens(self) -> bool:
        """True: transformers are trained with them."""
        return True

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode documents; see :class:`models.Encoder`."""
        check_list(texts, "texts", "texts")
        return self._encode(texts, self.prompts.document)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries; see :class:`models.Encoder`."""
        check_list(texts, "texts", "texts")
        return self._encode(texts, self.prompts.query)

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        vectors = self.model.encode(list(texts), prompt=prompt, show_progress_bar=False, convert_to_numpy=True)
        return truncate(vectors.reshape(len(texts), self.dimension), self.dimension)

    def _plain_tokenizer(self) -> Tokenizer | None:
        """Copy the tokenizer without padding and truncation, which every encode call sets and leaves set."""
        tokenizer = self.model.tokenizer
        rust = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not isinstance(rust, Tokenizer):
            return None
        copy = Tokenizer.from_str(rust.to_str())
        copy.no_padding()
        copy.no_truncation()
        return copy
