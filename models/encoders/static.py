"""Static encoders: a text's vector is the mean of its tokens' rows of a table. Needs neither torch nor a network."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from models.data.lists import check_list
from models.directory.files import checked_nesting, read_json, recorded_nesting
from models.encoders.base import WORDLLAMA, Prompts
from models.errors import ModelError
from models.nesting import Nesting, Vectors, truncate

_STATIC = "StaticEmbedding"
_WORDLLAMA_NESTING = Nesting((64, 128, 256))


def is_static_directory(path: str | Path) -> bool:
    """Return whether a sentence-transformers directory holds a static table, and otherwise at most a normalisation."""
    modules = Path(path) / "modules.json"
    if not modules.exists():
        return False
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in read_json(modules)]
    return kinds in ([_STATIC], [_STATIC, "Normalize"])


@dataclass(frozen=True, eq=False)
class StaticEncoder:
    """A token table as an encoder; equal to sentence-transformers' ``StaticEmbedding`` followed by ``truncate``.

    >>> encoder = StaticEncoder.wordllama()
    >>> encoder.encode_documents(["a text"])  # shape (1, 256), unit rows

    Attributes:
        name, nesting, prompts: see :class:`models.Encoder`.
        table: float32, shape (vocabulary, D).
        tokenizer: truncates long texts if its file says so; never pads.
    """

    name: str
    nesting: Nesting
    prompts: Prompts
    table: Vectors
    tokenizer: Tokenizer

    @classmethod
    def wordllama(
        cls,
        *,
        nesting: Nesting | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> StaticEncoder:
        """Load the 256-dimensional table of the ``wordllama`` package, Matryoshka-trained at 64, 128 and 256.

        The files are read directly, because the package's own loader would fetch the tokenizer from a model hub.

        Raises:
            ModelError: the package is not installed, or its files cannot be read.
        """
        spec = importlib.util.find_spec("wordllama")
        if spec is None or not spec.submodule_search_locations:
            raise ModelError("model 'wordllama' needs the package wordllama: pip install wordllama")
        root = Path(spec.submodule_search_locations[0])
        return cls._read(
            WORDLLAMA,
            root / "weights" / "l2_supercat_256.safetensors",
            root / "tokenizers" / "l2_supercat_tokenizer_config.json",
            nesting or _WORDLLAMA_NESTING,
            Prompts(query_prompt or "", document_prompt or ""),
        )

    @classmethod
    def from_directory(
        cls,
        path: str | Path,
        *,
        nesting: Nesting | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> StaticEncoder:
        """Load a sentence-transformers directory whose only trained module is a static table.

        Raises:
            ModelError: the files cannot be read, or ``nesting`` does not end at the table's dimension.
        """
        path = Path(path)
        part = path / read_json(path / "modules.json")[0]["path"]
        config = path / "config_sentence_transformers.json"
        own = read_json(config).get("prompts", {}) if config.exists() else {}
        prompts = Prompts.chosen(own, query_prompt, document_prompt)
        return cls._read(
            str(path), part / "model.safetensors", part / "tokenizer.json", nesting or recorded_nesting(path), prompts
        )

    @classmethod
    def _read(
        cls, name: str, weights: Path, tokenizer_file: Path, nesting: Nesting | None, prompts: Prompts
    ) -> StaticEncoder:
        try:
            table = load_file(weights)["embedding.weight"].astype(np.float32)
            tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"model {name!r}: cannot read {weights}: {error}") from error
        except Exception as error:  # tokenizers raises bare Exception for a file it cannot read
            raise ModelError(f"model {name!r}: cannot read {tokenizer_file}: {error}") from error
        tokenizer.no_padding()
        return cls(name, checked_nesting(name, table.shape[1], nesting), prompts, table, tokenizer)

    @property
    def special_tokens(self) -> bool:
        """False: a static table needs none."""
        return False

    @property
    def dimension(self) -> int:
        """The full dimension D."""
        return int(self.table.shape[1])

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the table, the tokenizer and the prompts."""
        digest = hashlib.sha256(self.table.tobytes())
        for text in (self.tokenizer.to_str(), self.prompts.query, self.prompts.document):
            digest.update(b"\0" + text.encode())
        return digest.hexdigest()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode documents; see :class:`models.Encoder`."""
        check_list(texts, "texts", "texts")
        return self._encode([self.prompts.document + text for text in texts])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries; see :class:`models.Encoder`."""
        check_list(texts, "texts", "texts")
        return self._encode([self.prompts.query + text for text in texts])

    def token_counts(self, texts: Sequence[str]) -> csr_array:
        """Count the tokens of documents; the counts times the table are the documents' vectors before normalisation.

        The document prompt is put before each text, as in :meth:`encode_documents`.

        Returns:
            float32, shape (len(texts), vocabulary). A repeated token has several entries.
        """
        return self._counts([self.prompts.document + text for text in texts])

    def _encode(self, texts: list[str]) -> Vectors:
        # A sum serves as the mean, because truncate() normalises. A sparse count matrix times the table sums the rows
        # of each text without gathering them first (5 times faster than a gather here).
        return truncate(self._counts(texts) @ self.table, self.dimension)

    def _counts(self, texts: list[str]) -> csr_array:
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        columns = np.fromiter((token for row in ids for token in row), dtype=np.int32, count=int(lengths.sum()))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return csr_array((np.ones(len(columns), np.float32), columns, offsets), shape=(len(ids), len(self.table)))
