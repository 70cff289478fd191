"""The vocabulary of a search plan: the options a caller may set, and the plan with every default filled in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

from indexer.filters import Filter
from models.errors import InvalidOptionError

DEFAULT_CANDIDATES = 200
"""The paper's K (section 4.3.1)."""

SCAN = "scan"
"""The structure name of a plan that scans the prefix of every row."""

Fusion = Literal["rrf", "weighted"]


class FunnelStage(NamedTuple):
    """One rerank of a funnel: rank the candidates by the first ``dims`` dimensions and keep the best ``keep``.

    Attributes:
        dims: prefix size.
        keep: candidates that remain.
    """

    dims: int
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Which candidates the first rerank reads; ``indexer.search.stopping`` explains both rules.

    The certified rule skips only candidates that provably cannot reach the top k::

        SearchOptions(k=10, stop=StopRule())

    A gap skips every candidate whose coarse score is more than that far below the k-th candidate's::

        SearchOptions(k=10, stop=StopRule(gap=0.05))

    Attributes:
        gap: largest difference to the coarse score of the k-th candidate; if None, the rule is certified.
        probability: probability that the result equals reading every candidate, at the k the gap was fitted for.
        k: the candidate the gap is measured from; if None, or more than are kept, the last one kept.

    Raises:
        InvalidOptionError: a value is out of range.
    """

    gap: float | None = None
    probability: float = 1.0
    k: int | None = None

    def __post_init__(self) -> None:
        if self.gap is not None and not 0 <= self.gap < math.inf:
            raise InvalidOptionError("stop", f"gap {self.gap}: give a difference of scores, 0 or more")
        if self.k is not None and self.k < 1:
            raise InvalidOptionError("stop", f"k {self.k}: give at least 1")
        if not 0 < self.probability <= 1:
            raise InvalidOptionError("stop", f"probability {self.probability}: give more than 0 and at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """Which queries the structure searches twice, and with which effort; see ``indexer.search.second_look``.

    Search with efSearch 50, and again with 800 if the best coarse score is below 0.4::

        SearchOptions(k=10, effort=50, second_look=SecondLook(below=0.4, effort=800))

    Attributes:
        below: threshold on the coarse score of the first search's best candidate.
        effort: effort of the second search, in the structure's own unit.

    Raises:
        InvalidOptionError: a value is out of range.
    """

    below: float
    effort: int

    def __post_init__(self) -> None:
        if math.isnan(self.below):
            raise InvalidOptionError("second_look", f"second look below {self.below}: give a score")
        if self.effort < 1:
            raise InvalidOptionError("second_look", f"second look with effort {self.effort}: give at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridOptions:
    """Search by vectors and by words, and fuse both lists of candidates.

    Reciprocal rank fusion, or a weighted sum in which vectors count for 70 %::

        SearchOptions(k=10, hybrid=HybridOptions())
        SearchOptions(k=10, hybrid=HybridOptions(fusion="weighted", weight=0.7))

    Attributes:
        fusion: ``rrf`` adds 1 / (60 + rank) over both lists (reciprocal rank fusion); ``weighted`` adds the cosine,
            scaled so that the candidates' lowest and highest become 0 and 1, and the BM25 score divided by the highest.
        weight: weight of the vectors, 0 to 1; BM25 gets the rest.
        candidates: length of each list; raised to k if smaller.

    Raises:
        InvalidOptionError: a value is out of range.
    """

    fusion: Fusion = "rrf"
    weight: float = 0.5
    candidates: int = 100

    def __post_init__(self) -> None:
        if self.fusion not in get_args(Fusion):
            raise InvalidOptionError("hybrid", f"fusion {self.fusion!r}: allowed are {', '.join(get_args(Fusion))}")
        if not 0 <= self.weight <= 1:
            raise InvalidOptionError("hybrid", f"weight {self.weight} of the vectors: give 0 to 1")
        if self.candidates < 1:
            raise InvalidOptionError("hybrid", f"{self.candidates} candidates for hybrid search: give at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How to search. Whatever is None is chosen: by calibration if the index was calibrated, else by defaults.

    Ask for a result, and let calibration choose the plan::

        SearchOptions(k=10, recall=0.95)
        SearchOptions(k=10, milliseconds=2)

    Or describe the plan: shortlist 400 candidates by 64 dimensions, keep 100 by 128, then rank by all::

        SearchOptions(k=10, dims=64, candidates=400, stages=(FunnelStage(128, 100),))

    Attributes:
        k: number of results; fewer are returned only if the index holds fewer.
        dims: prefix size Ds of the shortlist; by default that of the index's structure. Any other size scans all rows,
            and ``dims`` equal to Dr is a single exact search.
        candidates: shortlist length K; by default the larger of 200 and 2k.
        effort: search effort of the structure (HNSW: efSearch); by default the structure's own.
        rerank_dims: size Dr of the final ranking; by default the full D.
        stages: reranks between the shortlist and the final one (funnel retrieval, section 4.3.1): sizes grow from Ds to
            Dr, and lengths shrink from K to k.
        recall: target recall@k; selects the cheapest calibrated plan that reaches it.
        milliseconds: time limit of a query; selects the calibrated plan with the highest recall within it.
        filter: restricts the search to documents that match.
        stop: which candidates the first rerank reads; all if None.
        hybrid: search by the words of a text query as well; all options but ``k`` and ``filter`` then describe the
            vectors' part.
        second_look: which queries the structure searches again with more effort; none if None.
    """

    k: int = 10
    dims: int | None = None
    candidates: int | None = None
    effort: int | None = None
    rerank_dims: int | None = None
    stages: tuple[FunnelStage, ...] = ()
    recall: float | None = None
    milliseconds: float | None = None
    filter: Filter | None = None
    stop: StopRule | None = None
    hybrid: HybridOptions | None = None
    second_look: SecondLook | None = None

    @property
    def explicit_options(self) -> list[str]:
        """Names of the options given that describe a plan."""
        names = ("dims", "candidates", "effort", "rerank_dims", "stages", "stop", "second_look")
        return [name for name in names if getattr(self, name) not in (None, ())]


@dataclass(frozen=True, slots=True)
class Promise:
    """What calibration measured of a plan.

    Attributes:
        recall: mean recall@k against exact search, over the hardest kind of calibration queries.
        recall_low: lower confidence bound on the recall of further queries from the same distribution.
        milliseconds: median single-thread latency without encoding; with a second look, the average of both paths
            weighted by their frequency.
        met: whether the plan satisfies the request. If False, no calibrated plan does and this is the closest.
    """

    recall: float
    recall_low: float
    milliseconds: float
    met: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Search options, validated against an index, with every default filled in.

    Attributes:
        k, dims, candidates, effort: as in :class:`SearchOptions`; ``k`` and ``candidates`` are at most N.
        stages: the reranks, at least one; the last has size Dr and keeps k.
        structure: what finds the candidates: the index's structure, or ``scan``.
        promise: what calibration measured; None if the plan was not calibrated.
        stop: which candidates the first rerank reads; all if None.
        second_look: which queries the structure searches again; none if None.
    """

    k: int
    dims: int
    candidates: int
    effort: int | None
    stages: tuple[FunnelStage, ...]
    structure: str
    promise: Promise | None = None
    stop: StopRule | None = None
    second_look: SecondLook | None = None

    @property
    def rerank_dims(self) -> int:
        """Size Dr of the final ranking."""
        return self.stages[-1].dims

    @property
    def single(self) -> bool:
        """Whether this is a single exact search that needs no rerank."""
        return self.structure == SCAN and self.dims == self.rerank_dims

    def widened(self, k: int, candidates: int) -> Plan:
        """Return a plan that finds ``k`` rows among at least ``candidates``."""
        stages = tuple(stage._replace(keep=max(k, stage.keep)) for stage in self.stages[:-1])
        last = self.stages[-1]._replace(keep=k)
        return replace(self, k=k, candidates=max(k, candidates), stages=(*stages, last))


def make_plan(options: SearchOptions, rows: int, dimension: int, own_dims: int, own_structure: str) -> Plan:
    """Validate options that describe a plan, and fill in the defaults.

    Args:
        options: what the caller wants.
        rows, dimension: N and D of the index.
        own_dims, own_structure: prefix size and kind of the index's shortlist structure.

    Raises:
        InvalidOptionError: an option is out of range.
    """
    if options.k < 1:
        raise InvalidOptionError("k", f"k {options.k}: give at least 1")
    dims = own_dims if options.dims is None else options.dims
    rerank = dimension if options.rerank_dims is None else options.rerank_dims
    for name, value in (("dims", dims), ("rerank_dims", rerank)):
        if not 1 <= value <= dimension:
            raise InvalidOptionError(name, f"{name} {value}: allowed are 1 to {dimension}, the dimension of the index")
    if rerank < dims:
        raise InvalidOptionError(
            "rerank_dims", f"rerank_dims {rerank} is smaller than dims {dims}: give at least as many"
        )
    candidates = max(DEFAULT_CANDIDATES, 2 * options.k) if options.candidates is None else options.candidates
    if candidates < options.k:
        raise InvalidOptionError(
            "candidates", f"candidates {candidates} is smaller than k {options.k}: give at least k"
        )
    if options.effort is not None and options.effort < 1:
        raise InvalidOptionError("effort", f"effort {options.effort}: give at least 1")
    look, first = options.second_look, options.effort or 0
    if look and look.effort <= first:
        raise InvalidOptionError(
            "second_look", f"second look with effort {look.effort}: give more than the first's, {first}"
        )
    _check_funnel([FunnelStage(dims, candidates), *options.stages, FunnelStage(rerank, options.k)])
    k, candidates = min(options.k, rows), min(candidates, rows)
    stages = (*(FunnelStage(dims, min(keep, rows)) for dims, keep in options.stages), FunnelStage(rerank, k))
    exact = options.dims is not None and dims == rerank
    by_structure = dims == own_dims and not exact and candidates < rows
    structure = own_structure if by_structure else SCAN
    if options.stop and options.stop.gap is None and (dims != own_dims or stages[0].dims != dimension):
        raise InvalidOptionError(
            "stop",
            f"a certified stop needs a shortlist of {own_dims} dimensions, the structure's own, and a first rerank by "
            f"all {dimension}: given were {dims} and {stages[0].dims}; use a gap instead",
        )
    second_look = None if structure == SCAN else look
    return Plan(k, dims, candidates, options.effort, stages, structure, stop=options.stop, second_look=second_look)


def _check_funnel(stages: list[FunnelStage]) -> None:
    for before, after in pairwise(stages):
        if not before.dims <= after.dims or not before.keep >= after.keep:
            funnel = " → ".join(f"{dims}:{keep}" for dims, keep in stages)
            raise InvalidOptionError(
                "stages", f"stages {funnel} (dimensions:candidates): dimensions must not fall and candidates not grow"
            )
