"""What the structures that are one FAISS index have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np

from indexer.errors import BundleCorruptError
from indexer.shortlist.base import Blocks, Rows, Shortlist
from models.nesting import Vectors


class FaissShortlist(Shortlist):
    """A shortlist held by one FAISS index, saved in FAISS's own format."""

    file_name = "shortlist.faiss"

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a FAISS index file; see :meth:`Shortlist.load`."""
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            raise BundleCorruptError(f"cannot read {path}: {str(error).strip().splitlines()[-1]}") from error

    def save(self, path: Path) -> None:
        """Write the FAISS index."""
        faiss.write_index(self._index, str(path))

    def search(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> Rows:
        """Find candidate rows; see :meth:`Shortlist.search`."""
        count = min(candidates, self._index.ntotal)
        rows = np.full((len(prefixes), candidates), -1, dtype=np.int64)
        if count and len(prefixes):
            parameters = self._parameters(count, effort)
            _, rows[:, :count] = self._index.search(np.ascontiguousarray(prefixes), count, params=parameters)
        return rows

    def _parameters(self, candidates: int, effort: int | None) -> Any:
        """Return FAISS search parameters, or None."""
        return None

    @staticmethod
    def _fill(index: Any, blocks: Blocks) -> None:
        for _, prefixes in blocks:
            index.add(prefixes)
