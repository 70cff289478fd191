"""A teacher's vectors of many texts, encoded in blocks that are cached on disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from models.encoders.transformer import SentenceTransformerEncoder
from models.nesting import Vectors, truncate

_BLOCK = 2048
_BATCH = 64


class Teacher:
    """A sentence-transformers model whose vectors a student learns, with a cache on disk."""

    def __init__(
        self, encoder: SentenceTransformerEncoder, cache: str | Path, max_tokens: int, *, precision: str = "float32"
    ) -> None:
        """Take a loaded teacher.

        Args:
            encoder: the teacher; its prompts are not used.
            cache: folder of the cached vectors; teachers may share it.
            max_tokens: texts are truncated to this many tokens, for speed.
            precision: ``float32`` or ``bfloat16`` weights. The latter are 1.5 times as fast on CPUs with AVX512-BF16 or
                AMX and slower on others; their vectors have a cosine of 0.9999 with those of float32.
        """
        self.dimension = encoder.dimension
        key = f"{encoder.content_hash}:{max_tokens}:{precision}".encode()
        self._cache = Path(cache) / hashlib.sha256(key).hexdigest()[:16]
        self._cache.mkdir(parents=True, exist_ok=True)
        self._model = encoder.model.bfloat16() if precision == "bfloat16" else encoder.model
        self._model.max_seq_length = min(max_tokens, self._model.max_seq_length or max_tokens)

    def blocks(
        self, texts: Sequence[str], *, until: float | None = None, report: Callable[[int, int], None] = lambda *_: None
    ) -> Iterator[Vectors]:
        """Yield the vectors of the texts in order, in blocks: float32, shape (at most 2048, D), unit rows.

        Args:
            texts: in random order if ``until`` is given, because only the vectors of a prefix of them may be returned.
            until: a time of ``time.monotonic`` after which only cached blocks are returned.
            report: called with (texts done, all texts) after each block.
        """
        for start in range(0, len(texts), _BLOCK):
            block = list(texts[start : start + _BLOCK])
            digest = hashlib.sha256()
            for text in block:
                digest.update(f"{len(text)}:{text}".encode())
            path = self._cache / f"{digest.hexdigest()[:32]}.npy"
            if not path.exists():
                if until is not None and time.monotonic() >= until:
                    return
                partial = path.with_suffix(".partial")
                with partial.open("wb") as file:
                    # Half precision takes half the disk, and its error (2⁻¹¹) is below that of bfloat16 arithmetic.
                    np.save(file, self._encode(block).astype(np.float16))
                partial.replace(path)
            report(start + len(block), len(texts))
            yield truncate(np.load(path), self.dimension)

    def vectors(
        self, texts: Sequence[str], *, until: float | None = None, report: Callable[[int, int], None] = lambda *_: None
    ) -> Vectors:
        """Return all :meth:`blocks` as one array, shape (n, D), with n < len(texts) if time ran out."""
        found = list(self.blocks(texts, until=until, report=report))
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)

    def _encode(self, texts: list[str]) -> Vectors:
        # encode() sorts by length, so batches have little padding.
        vectors = self._model.encode(texts, batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False)
        return truncate(vectors.float().cpu().numpy(), self.dimension)
