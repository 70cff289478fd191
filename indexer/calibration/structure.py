"""Which shortlist structure a build makes, over which size: by rule, or the one that reaches a target on a sample.

Every structure that this machine can run is built over every nested size of a small sample, and its plans are tried;
the best ones then on a larger sample, and the best two of those with their other options. What grows with the number of
rows is extrapolated: memory in proportion; time as it grew from the small sample to the larger.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from indexer.calibration.queries import SampledQueries
from indexer.calibration.sample import Sample, Tried
from indexer.calibration.target import Target
from indexer.search.distinct import DistinctRows
from indexer.shortlist import KINDS, shortlist_type
from indexer.storage.manifest import ConsideredFacts, ShortlistFacts, TargetFacts
from indexer.storage.vectors import StoredVectors
from models.errors import InvalidOptionError
from models.nesting import Nesting

Report = Callable[[str, dict[str, Any]], None]
"""Told ``structure`` with the structures tried so far as rows, and their total."""

AUTO = "auto"
"""In place of a structure's name: it is chosen."""
FLAT_UP_TO = 20_000
"""Rows up to which a scan is as fast as anything, so that nothing is built that would have to be tuned."""
_KINDS_BY_RULE = ("symqg", "hnsw")
"""For more rows: the first that this machine can run."""
_SCANNED_AT_ONCE = 1 << 19
"""Numbers in all vectors up to which nothing needs to be tried."""
_SAMPLE = 20_000
_FIRST_SECONDS, _MOST_SECONDS, _ROWS_A_SECOND = 8.0, 120.0, 10_000
_SMALL_UNTIL, _LARGER_UNTIL = 0.5, 0.8
"""Shares of the time after which the steps end."""
_BEST = 4
_GUESS = 20


def default_structure(rows: int, nesting: Nesting, dims: int | None) -> ShortlistFacts:
    """Choose by rule; ``dims`` is Ds where it is given."""
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
    """Choose the fastest structure predicted to reach a target; the one that comes closest where none is.

    Args:
        vectors, distinct: of the index.
        sampled: stand-ins for its queries.
        nesting: the trained sizes.
        dims: Ds where it is given.
        target: what is to be reached.
        report: told about progress.

    Returns:
        what to build, and what was tried for it.
    """
    if len(distinct) * nesting.dimension <= _SCANNED_AT_ONCE:
        return default_structure(len(distinct), nesting, dims), _target_facts(target, [])
    trials = _Trials(vectors, distinct, sampled, target, report)
    trials.run(_structures(nesting, dims))
    best = trials.considered[0]
    structure = ShortlistFacts(kind=best.kind, dims=best.dims, options=best.options)
    return structure, _target_facts(target, trials.considered)


class _Trials:
    """Structures tried one after the other.

    Attributes:
        considered: what was tried, the best first.
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
        self._small_tried: dict[str, Tried] = {}
        self._done = 0

    def run(self, structures: Sequence[ShortlistFacts]) -> None:
        """Try structures; the first in any case, the others while there is time."""
        tried = self._each(structures, self._on_small, _SMALL_UNTIL)
        larger = self._each([one.structure for one in tried[:_BEST]], self._on_larger, _LARGER_UNTIL)
        variants = [variant for one in larger[:2] for variant in _variants(one.structure)]
        larger += self._each(variants, self._on_larger, 1)
        # What there was no time to try on the larger sample must not look better for that.
        power = max((one.power for one in larger), default=0.0)
        tried = [replace(one, power=max(one.power, power)) for one in tried]
        latest = {one.structure.model_dump_json(): one for one in (*tried, *larger)}
        self.considered = sorted(map(self._facts, latest.values()), key=self._distance)

    def _each(
        self, structures: Sequence[ShortlistFacts], way: Callable[[ShortlistFacts, float], Tried | None], share: float
    ) -> list[Tried]:
        """Try structures until a share of the time is over; returns the best first."""
        until = self._moment(share)
        found: list[Tried] = []
        for number, structure in enumerate(structures):
            now = time.monotonic()
            if self._done and now > until:
                break
            try:
                tried = way(structure, now + max(0.0, until - now) / (len(structures) - number))
            except InvalidOptionError:
                continue  # it cannot hold prefixes of that size
            if tried is not None:
                found.append(tried)
                self._done += 1
            self._report("structure", {"rows": self._done, "total": max(_GUESS, self._done)})
        return sorted(found, key=lambda one: self._distance(self._facts(one)))

    def _on_small(self, structure: ShortlistFacts, until: float) -> Tried:
        tried = self._small_tried.get(structure.model_dump_json())
        if tried is None:
            tried = Tried.on(self._small, structure, self._rows, until)
            self._small_tried[structure.model_dump_json()] = tried
        return tried

    def _on_larger(self, structure: ShortlistFacts, until: float) -> Tried | None:
        """Try a structure on the larger sample, unless that would take longer than there is time."""
        small = self._on_small(structure, until)
        if time.monotonic() + small.seconds * len(self._sample) / len(self._small) > self._moment(1):
            return None
        return Tried.on(self._sample, structure, self._rows, until).after(small, self._target)

    def _moment(self, share: float) -> float:
        return self._started + share * self._seconds

    def _facts(self, tried: Tried) -> ConsideredFacts:
        return tried.facts(self._target, self._further_bytes)

    def _distance(self, facts: ConsideredFacts) -> tuple[float, ...]:
        """Order by how far from the target: what fits its memory, then what holds its recall, the fastest first."""
        over = max(0, facts.memory - (self._target.memory or math.inf))
        milliseconds = math.inf if facts.milliseconds is None else facts.milliseconds
        if self._target.time_alone:
            return over, -facts.recall, milliseconds
        return over, milliseconds, -facts.recall


def _structures(nesting: Nesting, dims: int | None) -> list[ShortlistFacts]:
    """Return structures over sizes, the likely ones first, for when time is short."""
    likely = nesting.shortlist_size if dims is None else dims
    sizes = [size for size in nesting.sizes if size >= likely // 4] if dims is None else [dims]
    sizes.sort(key=lambda size: (abs(math.log(size / likely)), -size))
    kinds = [kind for kind in dict.fromkeys((*_KINDS_BY_RULE, *KINDS)) if shortlist_type(kind).unavailable() is None]
    return [_default(kind, size) for size in sizes for kind in kinds]


def _variants(facts: ShortlistFacts) -> Iterator[ShortlistFacts]:
    """Return the structure with another choice of one option, for each option that is a choice of few."""
    for name, field in shortlist_type(facts.kind).options_type.model_fields.items():
        if get_origin(field.annotation) is Literal:
            for value in get_args(field.annotation):
                if value != facts.options[name]:
                    yield ShortlistFacts(kind=facts.kind, dims=facts.dims, options={**facts.options, name: value})


def _default(kind: str, dims: int) -> ShortlistFacts:
    return ShortlistFacts(kind=kind, dims=dims, options=shortlist_type(kind).options_type().model_dump())


def _target_facts(target: Target, considered: Sequence[ConsideredFacts]) -> TargetFacts:
    return TargetFacts(
        recall=target.recall,
        milliseconds=target.milliseconds,
        memory=target.memory,
        considered=tuple(considered),
    )
