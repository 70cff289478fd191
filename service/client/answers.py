"""Answers of the service. Fields that only a newer service sends are ignored; its ``/docs`` describe each field."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Hit:
    """A document of the result list: its id, its score and its fields."""

    id: str
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rerank:
    """One rerank stage: the prefix size it ranks by, and the number of candidates it keeps."""

    dims: int
    keep: int


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Queries whose best candidate scores below ``below`` are searched a second time, with this effort."""

    below: float
    effort: int


@dataclass(frozen=True, slots=True)
class Promise:
    """What calibration measured of a plan, per query; ``met`` says whether the plan satisfies the request."""

    recall: float
    recall_low: float
    milliseconds: float
    met: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan that a search followed, with every default filled in."""

    structure: str
    dims: int
    candidates: int
    rerank_dims: int
    effort: int | None
    stages: tuple[Rerank, ...]
    stop: Literal["certified"] | float | None
    promise: Promise | None
    second_look: SecondLook | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a search; ``milliseconds`` is the time of all queries of the call together."""

    name: str
    milliseconds: float
    dims: int | None = None
    candidates_in: int | None = None
    candidates_out: int | None = None
    structure: str | None = None
    read: float | None = None
    certified: float | None = None
    margin: float | None = None
    again: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """The results of a query, best first."""

    results: tuple[Hit, ...]
    plan: Plan
    stages: tuple[Stage, ...] | None = None
    generation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """The results of several queries: ``results`` holds a tuple for each, in their order."""

    results: tuple[tuple[Hit, ...], ...]
    plan: Plan
    stages: tuple[Stage, ...] | None = None
    generation: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Embeddings of texts.

    Attributes:
        model: name of the model that computed them.
        vectors: float32, shape (texts, dimensions), in the order of the texts; read-only.
    """

    model: str
    vectors: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Label:
    """The label of a text or an image, the confidence in it, and the prefix size that was sufficient."""

    label: str
    confidence: float
    dims: int


@dataclass(frozen=True, slots=True)
class Cascade:
    """The cascade used: its expected accuracy, the mean size that answers, and the mean sum of all sizes tried."""

    accuracy: float
    dims: float
    dims_summed: float
    met: bool


@dataclass(frozen=True, slots=True)
class Classification:
    """A label for each input, in their order, and the mean size used; ``cascade`` is None if ``dims`` was given."""

    results: tuple[Label, ...]
    model: str
    mean_dims: float
    cascade: Cascade | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document."""

    id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineReport:
    """The outcome of a row.

    Attributes:
        line: number of the row in the whole call, from 1.
        id: None if the row has no readable id.
        result: ``added``, ``replaced`` or ``rejected``.
        reason: why it was rejected.
    """

    line: int
    id: str | None
    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """The outcome of a bulk upsert."""

    added: int = 0
    replaced: int = 0
    rejected: int = 0
    lines: tuple[LineReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Compaction:
    """The latest compaction: ``none``, ``running``, ``done`` (with its generation) or ``failed`` (with a message)."""

    state: str
    started: datetime | None = None
    ended: datetime | None = None
    generation: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """The served index; ``updates`` counts rows added, replaced or deleted since the generation was built."""

    generation: str
    created: datetime
    documents: int
    rejected: int
    dimension: int
    sizes: tuple[int, ...]
    metric: str
    model: str
    model_hash: str
    vectors: str
    shortlist: dict[str, Any]
    bytes_on_disk: int
    updates: int
    compaction: Compaction
    lexical: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    recall_watch: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Upserted:
    """The outcome of an upsert: ``added`` or ``replaced``."""

    id: str
    result: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """Number of documents deleted, and number of distinct ids that no document had."""

    deleted: int
    missing: int


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The generation served now; ``changed`` says whether it or its calibration differs from before."""

    generation: str
    changed: bool


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The generation published before, and the one published now."""

    before: str
    generation: str
