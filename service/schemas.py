"""Requests and answers of the HTTP interface."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

from indexer import Index, Plan, SearchOptions, SearchResult, Stage

Vector = Annotated[list[float], Field(min_length=1)]


class SearchRequest(BaseModel):
    """A search: exactly one of ``query``, ``queries``, ``vector`` and ``vectors``."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": "parse a date", "k": 5}]})

    query: str | None = Field(default=None, description="Text to search for.")
    queries: list[str] | None = Field(default=None, description="Several texts; `results` holds one list for each.")
    vector: Vector | None = Field(default=None, description="A query vector of the index's model, of any scale.")
    vectors: list[Vector] | None = Field(default=None, description="Several query vectors.")
    k: StrictInt = Field(default=10, ge=1, description="Results wanted.")
    dims: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Size Ds of the shortlist's prefix; the index's own where absent. Another size looks at every row.",
    )
    candidates: StrictInt | None = Field(
        default=None, ge=1, description="Length K of the shortlist; the larger of 200 and 2k where absent."
    )
    rerank_dims: StrictInt | None = Field(
        default=None, ge=1, description="Size Dr the shortlist is ranked by; the full size where absent."
    )
    effort: StrictInt | None = Field(
        default=None, ge=1, description="How hard the structure looks (HNSW: efSearch); its default where absent."
    )
    explain: bool = Field(default=False, description="Answer with the stages of the search.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        names = ("query", "queries", "vector", "vectors")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(names)}; given: {', '.join(given) or 'none'}")
        return self

    @property
    def batch(self) -> bool:
        """Whether several queries were sent, so that ``results`` is a list of lists."""
        return self.queries is not None or self.vectors is not None

    @property
    def options(self) -> SearchOptions:
        """The options for the index."""
        return SearchOptions(self.k, self.dims, self.candidates, self.effort, self.rerank_dims)


class HitOut(BaseModel):
    """A result."""

    id: str
    score: float = Field(description="Cosine of query and document at `rerank_dims`.")
    payload: dict[str, Any] = Field(description="The document's fields.")


class PlanOut(BaseModel):
    """What was done, with every default filled in."""

    structure: str
    dims: int
    candidates: int
    rerank_dims: int
    effort: int | None

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Take it from a plan."""
        return cls(
            structure=plan.structure,
            dims=plan.dims,
            candidates=plan.candidates,
            rerank_dims=plan.rerank_dims,
            effort=plan.effort,
        )


class StageOut(BaseModel):
    """One step of a search."""

    name: str
    milliseconds: float = Field(description="For all queries of the request together.")
    dims: int | None
    candidates_in: int | None
    candidates_out: int | None
    structure: str | None

    @classmethod
    def of(cls, stage: Stage) -> Self:
        """Take it from a stage."""
        return cls(
            name=stage.name,
            milliseconds=round(stage.milliseconds, 4),
            dims=stage.dims,
            candidates_in=stage.candidates_in,
            candidates_out=stage.candidates_out,
            structure=stage.structure,
        )


class SearchAnswer(BaseModel):
    """The answer to a search."""

    results: list[HitOut] | list[list[HitOut]] = Field(description="Best first; a list for each of several queries.")
    plan: PlanOut
    stages: list[StageOut] | None = Field(default=None, description="Only where `explain` was asked for.")

    @classmethod
    def of(cls, result: SearchResult, request: SearchRequest) -> Self:
        """Shape a result as the request asked."""
        lists = [[HitOut(id=hit.id, score=hit.score, payload=hit.payload) for hit in hits] for hits in result.hits]
        return cls(
            results=lists if request.batch else lists[0],
            plan=PlanOut.of(result.plan),
            stages=[StageOut.of(stage) for stage in result.stages] if request.explain else None,
        )


class IndexAnswer(BaseModel):
    """Facts about the served index."""

    generation: str
    created: str
    documents: int
    rejected: int = Field(description="Rows of the corpus that did not become documents.")
    dimension: int
    sizes: list[int] = Field(description="Prefix sizes the model was trained for.")
    metric: str
    model: str
    model_hash: str
    vectors: str = Field(description="How full vectors are stored.")
    shortlist: dict[str, Any]
    bytes_on_disk: int

    @classmethod
    def of(cls, index: Index) -> Self:
        """Take them from an opened index."""
        manifest = index.manifest
        return cls(
            generation=index.generation,
            created=manifest.created.isoformat(),
            documents=manifest.rows,
            rejected=manifest.corpus.rejected,
            dimension=manifest.dimension,
            sizes=list(manifest.model.sizes),
            metric=manifest.metric,
            model=manifest.model.name,
            model_hash=manifest.model.content_hash,
            vectors=manifest.vectors,
            shortlist={"dims": manifest.shortlist.dims, **manifest.shortlist.options, **index.shortlist.describe()},
            bytes_on_disk=sum(facts.size for facts in manifest.files.values()),
        )


class Health(BaseModel):
    """Alive, or ready."""

    status: str


class ErrorDetail(BaseModel):
    """What went wrong."""

    type: str
    code: str
    message: str
    param: str | None


class ErrorAnswer(BaseModel):
    """The envelope of every error."""

    error: ErrorDetail
