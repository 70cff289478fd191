"""What the structures that are one FAISS index have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import faiss
import numpy as np

from indexer.errors import BundleCorruptError
from indexer.kernels.threads import split
from indexer.shortlist.base import Bitmap, Candidates, Shortlist
from indexer.storage.resource_errors import not_read
from models.nesting import Vectors

_MOST_KNOWN = 256


class OneThread:
    """Within it, FAISS uses only the calling thread for what that thread asks of it; afterwards as many as before."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        faiss.omp_set_num_threads(self._before)


class FaissShortlist(Shortlist):
    """A shortlist held by one FAISS index that is searched by inner product, saved in FAISS's own format."""

    file_name = "shortlist.faiss"
    index_type: ClassVar[type]
    """What FAISS calls such an index."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._known: dict[tuple[int, int | None], Any] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a FAISS index file; see :meth:`Shortlist.load`."""
        try:
            index = faiss.read_index(str(path))
        except MemoryError as error:
            raise not_read(path) from error
        except RuntimeError as error:
            raise BundleCorruptError(f"cannot read {path}: {str(error).strip().splitlines()[-1]}") from error
        if not isinstance(index, cls.index_type):
            raise BundleCorruptError(f"cannot read {path}: it holds {type(index).__name__}, which is no {cls.kind!r}")
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the FAISS index."""
        # By way of a file of Python's: FAISS's own loses its last bytes on a full disk, and goes on.
        with path.open("wb") as file:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    def search(
        self,
        prefixes: Vectors,
        candidates: int,
        effort: int | None = None,
        allowed: Bitmap | None = None,
        threads: int = 1,
    ) -> Candidates:
        """Find candidate rows; see :meth:`Shortlist.search`."""
        if allowed is None:
            parameters = self._parameters(candidates, effort)
        else:
            parameters = self._make_parameters(candidates, effort, faiss.IDSelectorBitmap(allowed))
        found = Candidates(
            np.empty((len(prefixes), candidates), dtype=np.float32),
            np.empty((len(prefixes), candidates), dtype=np.int64),
        )

        def step(start: int, stop: int) -> None:
            with OneThread():
                self._search(prefixes[start:stop], parameters, found.scores[start:stop], found.rows[start:stop])

        split(len(prefixes), threads, step)
        if found.rows[:, -1].min(initial=0) < 0:
            found.scores[found.rows < 0] = -np.inf
        return found

    def _search(self, prefixes: Vectors, parameters: Any, scores: Vectors, rows: Any) -> None:
        """Search on the calling thread; fills scores and rows, of shape (n, K), with -1 for rows not found."""
        self._index.search(prefixes, scores.shape[1], params=parameters, D=scores, I=rows)

    def _parameters(self, candidates: int, effort: int | None) -> Any:
        """Return search parameters without a filter, kept: making them takes as long as a short search."""
        known = self._known.get((candidates, effort))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[candidates, effort] = self._make_parameters(candidates, effort)
        return known

    def _make_parameters(self, candidates: int, effort: int | None, selector: Any = None) -> Any:
        """Return FAISS search parameters."""
        return faiss.SearchParameters(sel=selector)
