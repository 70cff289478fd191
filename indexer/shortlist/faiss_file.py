"""Base classes of the structures that are a single FAISS index."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import faiss
import numpy as np

from indexer.errors import BundleCorruptError
from indexer.kernels.threads import split
from indexer.shortlist.base import Bitmap, Candidates, Options, PrefixSource, Shortlist
from indexer.shortlist.beam import beam_efforts, beam_width
from indexer.storage.resource_errors import out_of_memory_reading
from models.nesting import Vectors

_MOST_KNOWN = 256


class OneThread:
    """Context manager that limits FAISS to the calling thread, and restores its number of threads on exit."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        faiss.omp_set_num_threads(self._before)


def filled(index: Any, prefixes: PrefixSource) -> Any:
    """Add all prefixes to a trained FAISS index and return it."""
    for _, block in prefixes.blocks():
        index.add(block)
    return index


class FaissShortlist(Shortlist[Options]):
    """A shortlist held by one FAISS index, searched by inner product and saved in FAISS's own format."""

    file_name = "shortlist.faiss"
    index_type: ClassVar[type]
    """FAISS class of the index."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._known: dict[tuple[int, int | None], Any] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a FAISS index file; see :meth:`Shortlist.load`."""
        try:
            index = faiss.read_index(str(path))
        except MemoryError as error:
            raise out_of_memory_reading(path) from error
        except RuntimeError as error:
            raise BundleCorruptError(f"cannot read {path}: {str(error).strip().splitlines()[-1]}") from error
        if not isinstance(index, cls.index_type):
            raise BundleCorruptError(f"cannot read {path}: it holds {type(index).__name__}, which is not {cls.kind!r}")
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the FAISS index."""
        # Through a Python file: FAISS's own writer drops the last bytes on a full disk without an error.
        with path.open("wb") as file:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    def _search(
        self, prefixes: Vectors, candidates: int, effort: int | None, allowed: Bitmap | None, threads: int
    ) -> Candidates:
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
                self._fill(prefixes[start:stop], parameters, found.scores[start:stop], found.rows[start:stop])

        split(len(prefixes), threads, step)
        if found.rows[:, -1].min(initial=0) < 0:
            found.scores[found.rows < 0] = -np.inf
        return found

    def _fill(self, prefixes: Vectors, parameters: Any, scores: Vectors, rows: Any) -> None:
        """Search on the calling thread and fill scores and rows, of shape (n, K), with -1 for rows not found."""
        self._index.search(prefixes, scores.shape[1], params=parameters, D=scores, I=rows)

    def _parameters(self, candidates: int, effort: int | None) -> Any:
        """Return cached search parameters without a filter: creating them takes as long as a short search."""
        known = self._known.get((candidates, effort))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[candidates, effort] = self._make_parameters(candidates, effort)
        return known

    def _make_parameters(self, candidates: int, effort: int | None, selector: Any = None) -> Any:
        """Return new FAISS search parameters."""
        return faiss.SearchParameters(sel=selector)


class FaissScan(FaissShortlist[Options]):
    """A FAISS index that compares every row, so that there is no effort to choose."""

    exact = True

    def efforts(self, candidates: int) -> list[int | None]:
        """Return [None]."""
        return [None]

    def comparisons(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return N."""
        return float(self._index.ntotal)


class FaissGraph(FaissShortlist[Options]):
    """A FAISS HNSW index; effort is the width of the beam (efSearch), by default the number of candidates."""

    def efforts(self, candidates: int) -> list[int | None]:
        """Return beam widths from the number of candidates on."""
        return beam_efforts(candidates)

    def _make_parameters(self, candidates: int, effort: int | None, selector: Any = None) -> Any:
        return faiss.SearchParametersHNSW(efSearch=beam_width(effort, candidates), sel=selector)

    def comparisons(self, prefixes: Vectors, candidates: int, effort: int | None = None) -> float:
        """Return FAISS's count of distances per query on the CPU, meaningless while other threads search."""
        faiss.cvar.hnsw_stats.reset()
        FaissShortlist._search(self, prefixes, candidates, effort, None, 1)
        return float(faiss.cvar.hnsw_stats.ndis) / max(1, len(prefixes))

    @property
    def memory_bytes(self) -> int:
        """Bytes of the codes and links."""
        graph = self._index.hnsw
        codes = self._index.ntotal * faiss.downcast_index(self._index.storage).code_size
        return int(codes + 4 * graph.neighbors.size() + 8 * graph.offsets.size() + 4 * graph.levels.size())
