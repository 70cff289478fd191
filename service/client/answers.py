"""Answers of the service. Fields that a newer service adds are left out; its ``/docs`` describe each field."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found: its id, its score and its fields."""

    id: str
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rerank:
    """One rerank: the size ranked by, and how many are kept."""

    dims: int
    keep: int


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Queries whose best candidate scores under ``below`` are searched for again, with this effort."""

    below: float
    effort: int


@dataclass(frozen=True, slots=True)
class Promise:
    """What calibration measured of a plan; ``met`` where it is what was asked for; milliseconds of a query."""

    recall: float
    recall_low: float
    milliseconds: float
    met: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search was done, with every default filled in."""

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
    """One step of a search; milliseconds are those of all queries of the call together."""

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
    """What a query found, best first."""

    results: tuple[Hit, ...]
    plan: Plan
    stages: tuple[Stage, ...] | None = None
    generation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """What several queries found: in ``results`` a tuple for each, in their order."""

    results: tuple[tuple[Hit, ...], ...]
    plan: Plan
    stages: tuple[Stage, ...] | None = None
    generation: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Embeddings.

    Attributes:
        model: what made them.
        vectors: float32, shape (texts, dimensions), in the order of the texts; read-only.
    """

    model: str
    vectors: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Label:
    """The label of a text, how sure the classifier is of it, and the size that was enough to say so."""

    label: str
    confidence: float
    dims: int


@dataclass(frozen=True, slots=True)
class Cascade:
    """The cascade that answered: its expected accuracy, the mean size that answers, and that of all sizes looked at."""

    accuracy: float
    dims: float
    dims_summed: float
    met: bool


@dataclass(frozen=True, slots=True)
class Classification:
    """A label for each text, in their order, and the mean size used; no cascade where one size answered for all."""

    results: tuple[Label, ...]
    model: str
    mean_dims: float
    cascade: Cascade | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as the index holds it."""

    id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineReport:
    """What became of a row.

    Attributes:
        line: the row's number in the whole call, from 1.
        id: None where the row had none that could be read.
        result: ``added``, ``replaced`` or ``rejected``.
        reason: why it was rejected.
    """

    line: int
    id: str | None
    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """What became of many rows."""

    added: int = 0
    replaced: int = 0
    rejected: int = 0
    lines: tuple[LineReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Compaction:
    """The newest compaction: ``none``, ``running``, ``done`` (then what it published) or ``failed`` (then why)."""

    state: str
    started: datetime | None = None
    ended: datetime | None = None
    generation: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What is served; ``updates`` are rows added, replaced or deleted since the generation was made."""

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
    """What became of a document: ``added`` or ``replaced``."""

    id: str
    result: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many documents were deleted, and how many different ids no document had."""

    deleted: int
    missing: int


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The generation served now, and whether it is another than before or was calibrated anew."""

    generation: str
    changed: bool


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The generation that was published, and the one that is now."""

    before: str
    generation: str
