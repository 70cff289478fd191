"""Choosing the shortlist structure of a build and its prefix size: by rule, or by trials on a sample to reach a target.

Every structure that this machine can run is built on a small sample, over every nested size of at least a quarter of
the default one (or over the given Ds alone), and its plans are tried.
The best structures are then tried on a larger sample, and the best two of those with their other options. Memory is
extrapolated in proportion to the number of rows, latency by its growth from the smaller to the larger sample.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Literal, get_args, get_origin

from indexer.calibration.queries import SampledQueries
from indexer.calibration.sample import Sample, TrialResult
from indexer.calibration.target import Target
from indexer.progress import ChoosingStructure, Report
from indexer.search.distinct import DistinctRows
from indexer.shortlist import KINDS, shortlist_type
from indexer.storage.manifest import ConsideredFacts, ShortlistFacts, TargetFacts
from indexer.storage.vectors import StoredVectors
from models.errors import InvalidOptionError
from models.nesting import Nesting

AUTO = "auto"
"""Structure name that lets the build choose."""
FLAT_UP_TO = 20_000
"""Rows up to which a scan is as fast as any structure, without anything to tune."""
_KINDS_BY_RULE = ("symqg", "hnsw")
"""For more rows, the first of these that this machine can run."""
_SCANNED_AT_ONCE = 1 << 19
"""Values in all vectors up to which no trials are needed."""
_SAMPLE = 20_000
_FIRST_SECONDS, _MOST_SECONDS, _ROWS_A_SECOND = 8.0, 120.0, 10_000
_SMALL_UNTIL, _LARGER_UNTIL = 0.5, 0.8
"""Shares of the time budget after which the steps end."""
_BEST = 4
_GUESS = 20


def default_structure(rows: int, nesting: Nesting, dims: int | None) -> ShortlistFacts:
    """Choose by rule; ``dims`` is Ds, or None to choose it too."""
    kinds = ("flat",) if rows <= FLAT_UP_TO else _KINDS_BY_RULE
    kind = next(kind for kind in kinds if shortlist_type(kind).unavailable() is None)
    return _default(kind, dims or nesting.shortlist_size)


def choose_structure(
    vectors: StoredVectors,
    distinct: DistinctRows,
    sampled: SampledQueries,
    nesting: Nesting,
    dims: int | None,
    target: Target,
    report: Report,
) -> tuple[ShortlistFacts, TargetFacts]:
    """Choose the fastest structure predicted to reach a target, or the one that comes closest.

    Args:
        vectors, distinct: parts of the index.
        sampled: synthetic queries.
        nesting: the trained sizes.
        dims: Ds; None to choose it too.
        target: the target of the build.
        report: receives progress events.

    Returns:
        the structure to build, and the target with the structures that were tried.
    """
    if len(distinct) * nesting.dimension <= _SCANNED_AT_ONCE:
        return default_structure(len(distinct), nesting, dims), _target_facts(target, [])
    trials = _Trials(vectors, distinct, sampled, target, report)
    trials.run(_structures(nesting, dims))
    best = trials.considered[0]
    structure = ShortlistFacts(kind=best.kind, dims=best.dims, options=best.options)
    return structure, _target_facts(target, trials.considered)


class _Trials:
    """Trials of structures, one after the other.

    Attributes:
        considered: the structures tried, the best first.
    """

    def __init__(
        self, vectors: StoredVectors, distinct: DistinctRows, sampled: SampledQueries, target: Target, report: Report
    ) -> None:
        self.considered: list[ConsideredFacts] = []
        self._target, self._report = target, report
        self._rows, self._further_bytes = len(distinct), distinct.memory_bytes
        self._started = time.monotonic()
        self._seconds = min(_MOST_SECONDS, _FIRST_SECONDS + self._rows / _ROWS_A_SECOND)
        self._sample = Sample.draw(vectors, distinct, sampled, _SAMPLE)
        self._small = Sample.draw(vectors, distinct, sampled, len(self._sample) // 4)
        self._small_tried: dict[str, TrialResult] = {}
        self._done = 0

    def run(self, structures: Sequence[ShortlistFacts]) -> None:
        """Try structures: the first in any case, the others as time allows."""
        tried = self._each(structures, self._on_small, _SMALL_UNTIL)
        larger = self._each([result.structure for result in tried[:_BEST]], self._on_larger, _LARGER_UNTIL)
        variants = [variant for result in larger[:2] for variant in _variants(result.structure)]
        larger += self._each(variants, self._on_larger, 1)
        # A structure that there was no time to try on the larger sample must not look better because of that.
        power = max((result.power for result in larger), default=0.0)
        tried = [replace(result, power=max(result.power, power)) for result in tried]
        latest = {result.structure.model_dump_json(): result for result in (*tried, *larger)}
        self.considered = sorted(map(self._facts, latest.values()), key=self._distance)

    def _each(
        self,
        structures: Sequence[ShortlistFacts],
        way: Callable[[ShortlistFacts, float], TrialResult | None],
        share: float,
    ) -> list[TrialResult]:
        """Try structures until a share of the time budget is used; return the best first."""
        until = self._moment(share)
        found: list[TrialResult] = []
        for number, structure in enumerate(structures):
            now = time.monotonic()
            if self._done and now > until:
                break
            try:
                tried = way(structure, now + max(0.0, until - now) / (len(structures) - number))
            except InvalidOptionError:
                continue  # it does not take prefixes of that size
            if tried is not None:
                found.append(tried)
                self._done += 1
            self._report(ChoosingStructure(done=self._done, total=max(_GUESS, self._done)))
        return sorted(found, key=lambda result: self._distance(self._facts(result)))

    def _on_small(self, structure: ShortlistFacts, until: float) -> TrialResult:
        tried = self._small_tried.get(structure.model_dump_json())
        if tried is None:
            tried = TrialResult.on(self._small, structure, self._rows, until)
            self._small_tried[structure.model_dump_json()] = tried
        return tried

    def _on_larger(self, structure: ShortlistFacts, until: float) -> TrialResult | None:
        """Try a structure on the larger sample, unless that would exceed the time budget."""
        small = self._on_small(structure, until)
        if time.monotonic() + small.seconds * len(self._sample) / len(self._small) > self._moment(1):
            return None
        return TrialResult.on(self._sample, structure, self._rows, until).after(small, self._target)

    def _moment(self, share: float) -> float:
        return self._started + share * self._seconds

    def _facts(self, tried: TrialResult) -> ConsideredFacts:
        return tried.facts(self._target, self._further_bytes)

    def _distance(self, facts: ConsideredFacts) -> tuple[float, ...]:
        """Order by distance from the target: first what fits its memory, then what reaches its recall, then latency."""
        over = max(0, facts.memory - (self._target.memory or math.inf))
        milliseconds = math.inf if facts.milliseconds is None else facts.milliseconds
        if self._target.time_alone:
            return over, -facts.recall, milliseconds
        return over, milliseconds, -facts.recall


def _structures(nesting: Nesting, dims: int | None) -> list[ShortlistFacts]:
    """Return all structures over the sizes worth trying, the most promising first in case time runs out."""
    likely = nesting.shortlist_size if dims is None else dims
    sizes = [size for size in nesting.sizes if size >= likely // 4] if dims is None else [dims]
    sizes.sort(key=lambda size: (abs(math.log(size / likely)), -size))
    kinds = [kind for kind in dict.fromkeys((*_KINDS_BY_RULE, *KINDS)) if shortlist_type(kind).unavailable() is None]
    return [_default(kind, size) for size in sizes for kind in kinds]


def _variants(facts: ShortlistFacts) -> Iterator[ShortlistFacts]:
    """Yield variants of a structure that differ in one option, for each option with a few fixed values."""
    for name, field in shortlist_type(facts.kind).options_type.model_fields.items():
        if get_origin(field.annotation) is Literal:
            for value in get_args(field.annotation):
                if value != facts.options[name]:
                    yield ShortlistFacts(kind=facts.kind, dims=facts.dims, options={**facts.options, name: value})


def _default(kind: str, dims: int) -> ShortlistFacts:
    return ShortlistFacts(kind=kind, dims=dims, options=shortlist_type(kind).options_type().model_dump())


def _target_facts(target: Target, considered: Sequence[ConsideredFacts]) -> TargetFacts:
    return TargetFacts(**asdict(target), considered=tuple(considered))
