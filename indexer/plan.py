"""How a search goes: what a caller may leave open, and the plan with everything filled in."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import InvalidOptionError

DEFAULT_CANDIDATES = 200
"""The paper's K (section 4.3.1)."""

SCAN = "scan"
"""The structure of a plan that looks at every row's prefix."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; what is None is chosen.

    Attributes:
        k: results wanted; fewer come only where the index holds fewer.
        dims: the shortlist's size Ds; the index's own where None. Another size works without the structure, by looking
            at every row; given as Dr it asks for a single exact search.
        candidates: the shortlist's length K; the larger of 200 and 2k where None.
        effort: how hard the structure looks (HNSW: efSearch); its default where None.
        rerank_dims: the size Dr the candidates are ranked by; the full D where None.
    """

    k: int = 10
    dims: int | None = None
    candidates: int | None = None
    effort: int | None = None
    rerank_dims: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Search options, checked against an index, with every default filled in.

    Attributes:
        k, dims, candidates, effort, rerank_dims: as in :class:`SearchOptions`; ``k`` and ``candidates`` are at most N.
        structure: what finds the candidates: the index's own, or ``scan``.
    """

    k: int
    dims: int
    candidates: int
    effort: int | None
    rerank_dims: int
    structure: str

    @property
    def single(self) -> bool:
        """Whether this is one exact search, with nothing left for a rerank to add."""
        return self.structure == SCAN and self.dims == self.rerank_dims


def make_plan(options: SearchOptions, rows: int, dimension: int, own_dims: int, own_structure: str) -> Plan:
    """Check options and fill in the defaults.

    Args:
        options: what the caller wants.
        rows, dimension: N and D of the index.
        own_dims, own_structure: size and kind of the index's shortlist structure.

    Raises:
        InvalidOptionError: an option outside its bounds; the message names the bounds.
    """
    if options.k < 1:
        raise InvalidOptionError("k", f"k {options.k}: give at least 1")
    dims = own_dims if options.dims is None else options.dims
    rerank = dimension if options.rerank_dims is None else options.rerank_dims
    for name, value in (("dims", dims), ("rerank_dims", rerank)):
        if not 1 <= value <= dimension:
            raise InvalidOptionError(name, f"{name} {value}: allowed are 1 to {dimension}, the dimensions of the index")
    if rerank < dims:
        raise InvalidOptionError(
            "rerank_dims", f"rerank_dims {rerank} is smaller than dims {dims}: a rerank adds dimensions"
        )
    candidates = max(DEFAULT_CANDIDATES, 2 * options.k) if options.candidates is None else options.candidates
    if candidates < options.k:
        raise InvalidOptionError(
            "candidates", f"candidates {candidates} is smaller than k {options.k}: give at least k"
        )
    if options.effort is not None and options.effort < 1:
        raise InvalidOptionError("effort", f"effort {options.effort}: give at least 1")
    k, candidates = min(options.k, rows), min(candidates, rows)
    exact = options.dims is not None and dims == rerank
    by_structure = dims == own_dims and not exact and candidates < rows
    return Plan(k, dims, candidates, options.effort, rerank, own_structure if by_structure else SCAN)
