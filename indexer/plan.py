"""How a search goes: what a caller may leave open, and the plan with everything filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from indexer.filters import Filter
from indexer.search.fusion import HybridOptions
from indexer.search.second_look import SecondLook
from indexer.search.stopping import StopRule
from models.errors import InvalidOptionError

DEFAULT_CANDIDATES = 200
"""The paper's K (section 4.3.1)."""

SCAN = "scan"
"""The structure of a plan that looks at every row's prefix."""


class FunnelStage(NamedTuple):
    """One rerank: candidates are ranked by the first ``dims`` dimensions, and the best ``keep`` go on.

    Attributes:
        dims: prefix size.
        keep: candidates that are left.
    """

    dims: int
    keep: int


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; what is None is chosen.

    Attributes:
        k: results wanted; fewer come only where the index holds fewer.
        dims: the shortlist's size Ds; the index's own where None. Another size works without the structure, by looking
            at every row; given as Dr it asks for a single exact search.
        candidates: the shortlist's length K; the larger of 200 and 2k where None.
        effort: how hard the structure looks (HNSW: efSearch); its default where None.
        rerank_dims: the size Dr the candidates are ranked by at last; the full D where None.
        stages: reranks between the shortlist and the last one (funnel retrieval, section 4.3.1): sizes grow from Ds to
            Dr, lengths fall from K to k.
        recall: the recall@k wanted; the cheapest calibrated plan that holds it is taken.
        milliseconds: the time a query may take; the calibrated plan of the best recall within it is taken.
        filter: only documents that match are found.
        stop: which candidates the first rerank reads; all where None.
        hybrid: search by the words of a text query too; everything above but ``k`` and ``filter`` is then about the
            vectors' part.
        second_look: which queries the structure is searched for again, with more effort; none where None.
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
    def by_hand(self) -> list[str]:
        """Names of the options given that describe a plan."""
        names = ("dims", "candidates", "effort", "rerank_dims", "stages", "stop", "second_look")
        return [name for name in names if getattr(self, name) not in (None, ())]


@dataclass(frozen=True, slots=True)
class Promise:
    """What calibration measured of a plan.

    Attributes:
        recall: recall@k against exact search, the mean over the calibration's queries.
        recall_low: a lower bound on the recall of further queries of their kind; see the calibration's confidence.
        milliseconds: time of one query on one thread, without encoding it: the median; where some queries are searched
            for twice, of the mean of both ways by how often each is taken.
        met: whether this is what was asked for; where it is not, no calibrated plan is, and this one comes closest.
    """

    recall: float
    recall_low: float
    milliseconds: float
    met: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Search options, checked against an index, with every default filled in.

    Attributes:
        k, dims, candidates, effort: as in :class:`SearchOptions`; ``k`` and ``candidates`` are at most N.
        stages: the reranks, at least one; the last has the size Dr and keeps k.
        structure: what finds the candidates: the index's own, or ``scan``.
        promise: where the plan was calibrated.
        stop: which candidates the first rerank reads; all where None.
        second_look: which queries the structure is searched for again; none where None.
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
        """The size Dr the results are ranked by."""
        return self.stages[-1].dims

    @property
    def single(self) -> bool:
        """Whether this is one exact search, with nothing left for a rerank to add."""
        return self.structure == SCAN and self.dims == self.rerank_dims

    def widened(self, k: int, candidates: int) -> Plan:
        """Return the plan that finds ``k`` rows, of ``candidates`` at least."""
        stages = tuple(stage._replace(keep=max(k, stage.keep)) for stage in self.stages[:-1])
        last = self.stages[-1]._replace(keep=k)
        return replace(self, k=k, candidates=max(k, candidates), stages=(*stages, last))


def make_plan(options: SearchOptions, rows: int, dimension: int, own_dims: int, own_structure: str) -> Plan:
    """Check options that describe a plan, and fill in the defaults.

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
            f"a certified stop needs the shortlist's own {own_dims} dimensions and a first rerank by all {dimension}; "
            f"given were {dims} and {stages[0].dims}",
        )
    again = None if structure == SCAN else look
    return Plan(k, dims, candidates, options.effort, stages, structure, stop=options.stop, second_look=again)


def _check_funnel(stages: list[FunnelStage]) -> None:
    for before, after in pairwise(stages):
        if not before.dims <= after.dims or not before.keep >= after.keep:
            funnel = " → ".join(f"{dims}:{keep}" for dims, keep in stages)
            raise InvalidOptionError(
                "stages", f"stages {funnel} (dimensions:candidates): dimensions must not fall and candidates not grow"
            )
