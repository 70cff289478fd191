"""A teacher's vectors of many texts: encoded in blocks, each kept on disk, so that no work is ever done twice."""

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
    """A sentence-transformers model whose vectors a student learns from, with a cache of them on disk."""

    def __init__(
        self, encoder: SentenceTransformerEncoder, cache: Path, max_tokens: int, precision: str = "float32"
    ) -> None:
        """Take a loaded teacher.

        Args:
            encoder: the teacher; prompts are not used.
            cache: folder of the vectors; blocks of other teachers or texts in it are left alone.
            max_tokens: texts are cut after this many, for speed.
            precision: ``float32``, or ``bfloat16`` weights: 1.5 times as fast on a CPU that has its instructions
                (AVX512-BF16, AMX), cosines with float32's vectors 0.9999; slower on another.
        """
        self.dimension = encoder.dimension
        key = f"{encoder.content_hash}:{max_tokens}:{precision}".encode()
        self._cache = cache / hashlib.sha256(key).hexdigest()[:16]
        self._cache.mkdir(parents=True, exist_ok=True)
        self._model = encoder.model.bfloat16() if precision == "bfloat16" else encoder.model
        self._model.max_seq_length = min(max_tokens, self._model.max_seq_length or max_tokens)

    def blocks(
        self, texts: Sequence[str], *, until: float | None = None, report: Callable[[int, int], None] = lambda *_: None
    ) -> Iterator[Vectors]:
        """Give the vectors of the texts block by block, in order: float32, shape (≤ 2048, D), unit rows.

        Args:
            texts: shuffled, where time may run out: what is given is a prefix of them.
            until: a time of ``time.monotonic``; from then on only what the cache holds is given.
            report: told (texts done, all texts) after each block.
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
                    # Half precision: half the disk, and an error (2⁻¹¹) under that of bfloat16 arithmetic.
                    np.save(file, self._encode(block).astype(np.float16))
                partial.replace(path)
            report(start + len(block), len(texts))
            yield truncate(np.load(path), self.dimension)

    def vectors(
        self, texts: Sequence[str], *, until: float | None = None, report: Callable[[int, int], None] = lambda *_: None
    ) -> Vectors:
        """All of :meth:`blocks` as one array, shape (n, D); n < len(texts) where time ran out."""
        found = list(self.blocks(texts, until=until, report=report))
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)

    def _encode(self, texts: list[str]) -> Vectors:
        # encode() sorts by length, so that a batch holds little padding.
        vectors = self._model.encode(texts, batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False)
        return truncate(vectors.float().cpu().numpy(), self.dimension)
