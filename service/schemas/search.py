"""``POST /v1/search``: request and response."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    model_validator,
)

from indexer import FunnelStage, Hit, Plan, SearchOptions, SearchResult, SecondLook, StopRule, parse_filter
from service.schemas.hybrid import HybridSwitch
from service.schemas.include import Included
from service.schemas.vectors import Vector

MAX_STAGES: Final = 16
MAX_FIELDS: Final = 256
_NOT_EMPTY: Final[dict[str, Any]] = {"minItems": 1}
SOURCES: Final = ("query", "queries", "vector", "vectors", "image", "images")


class Rerank(BaseModel):
    """A rerank of a funnel."""

    model_config = ConfigDict(extra="forbid")

    dims: StrictInt = Field(ge=1, description="Prefix size to rank the candidates by.")
    keep: StrictInt = Field(ge=1, description="Number of candidates to keep.")


class SecondLookAt(BaseModel):
    """Which queries to search a second time, with more effort."""

    model_config = ConfigDict(extra="forbid")

    below: StrictFloat = Field(
        allow_inf_nan=False, description="Search again if the best candidate's coarse score is below this."
    )
    effort: StrictInt = Field(ge=1, description="Effort of the second search, larger than that of the first.")

    @property
    def option(self) -> SecondLook:
        """The option for the index."""
        return SecondLook(below=self.below, effort=self.effort)


class SearchRequest(BaseModel):
    """A search, with exactly one of ``query``, ``queries``, ``vector``, ``vectors``, ``image`` and ``images``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"query": "parse a date", "k": 5}],
            "oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in SOURCES],
        },
    )

    query: str | None = Field(default=None, description="Text to search for.")
    queries: list[str] | None = Field(
        default=None, description="Several texts; `results` has one list per text.", json_schema_extra=_NOT_EMPTY
    )
    vector: Vector | None = Field(
        default=None, description="A query vector of the index's model; its norm does not matter."
    )
    vectors: list[Vector] | None = Field(
        default=None, description="Several query vectors.", json_schema_extra=_NOT_EMPTY
    )
    image: str | None = Field(
        default=None, description="An image to search for, if the model encodes images: base64 of an image file."
    )
    images: list[str] | None = Field(default=None, description="Several images.", json_schema_extra=_NOT_EMPTY)
    k: StrictInt = Field(default=10, ge=1, description="Number of results.")
    offset: StrictInt = Field(
        default=0,
        ge=0,
        description="Number of leading results to skip.",
    )
    dims: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Prefix size Ds of the shortlist; default: the index's own. Any other size scans all rows.",
    )
    candidates: StrictInt | None = Field(
        default=None, ge=1, description="Length K of the shortlist; default: the larger of 200 and 2k."
    )
    rerank_dims: StrictInt | None = Field(
        default=None, ge=1, description="Prefix size Dr of the last rerank; default: the full dimension."
    )
    effort: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Search effort of the shortlist structure (HNSW: efSearch); default: the structure's own.",
    )
    stages: list[Rerank] | None = Field(
        default=None,
        max_length=MAX_STAGES,
        description="Reranks between the shortlist and the last one. Sizes must not decrease; candidates must not "
        "increase.",
    )
    stop: Literal["certified"] | Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Which candidates the first rerank skips. `certified`: those that provably cannot be among the "
        "results. A number: those whose coarse score is more than this below the k-th candidate's. Default: none, "
        "unless a calibrated plan has a gap of its own.",
    )
    second_look: SecondLookAt | None = Field(
        default=None,
        description="Search again, with more effort, for queries whose first search finds nothing near. Default: none, "
        "unless a calibrated plan has a second look of its own.",
    )
    recall: StrictFloat | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Target recall against exact search. The fastest calibrated plan that reaches it is used; if none "
        "does, the closest one, and its promise is not `met`. Cannot be combined with options that describe a plan: "
        "`dims`, `candidates`, `rerank_dims`, `effort`, `stages`, `stop`, `second_look`.",
    )
    milliseconds: StrictFloat | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Latency budget of one query, without encoding it, as measured on the calibration machine. The "
        "calibrated plan with the best recall within it is used.",
    )
    filter: dict[str, Any] | None = Field(
        default=None,
        description="Only matching documents are found.",
        examples=[{"lang": {"$in": ["en", "fr"]}, "year": {"$gte": 1990}}],
    )
    include: list[str] | None = Field(
        default=None,
        max_length=MAX_FIELDS,
        description="Fields of the payload to return; dots address fields of objects. Default: all; `[]`: none. Fields "
        "that a document does not have are left out.",
        examples=[["title", "meta.source"]],
    )
    hybrid: HybridSwitch = Field(
        default=None,
        description="Also search by the words of the text (BM25), and fuse both lists of candidates: true, or an "
        "object with options. Requires `query` or `queries` and an index built with `--lexical`.",
        examples=[True, {"fusion": "weighted", "weight": 0.5}],
    )
    explain: bool = Field(default=False, description="Return the stages of the search.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCES)}; given: {', '.join(given) or 'none'}")
        return self

    @property
    def batch(self) -> bool:
        """Whether the request may hold several queries, so that ``results`` is a list of lists."""
        return self.queries is not None or self.vectors is not None or self.images is not None

    @property
    def included(self) -> Included | None:
        """The fields to return; all if None.

        Raises:
            InvalidOptionError: a name is not a valid field name.
        """
        return None if self.include is None else Included.parse(self.include)

    @property
    def options(self) -> SearchOptions:
        """The options for the index.

        Raises:
            InvalidOptionError: the filter is invalid.
        """
        return SearchOptions(
            k=self.k + self.offset,
            dims=self.dims,
            candidates=self.candidates,
            effort=self.effort,
            rerank_dims=self.rerank_dims,
            stages=tuple(FunnelStage(stage.dims, stage.keep) for stage in self.stages or ()),
            stop=None if self.stop is None else StopRule(gap=None if self.stop == "certified" else self.stop),
            second_look=None if self.second_look is None else self.second_look.option,
            recall=self.recall,
            milliseconds=self.milliseconds,
            filter=None if self.filter is None else parse_filter(self.filter),
            hybrid=None if self.hybrid is None else self.hybrid.options,
        )


def _gap_of(rule: StopRule | float | str | None) -> float | str | None:
    if not isinstance(rule, StopRule):
        return rule
    return "certified" if rule.gap is None else rule.gap


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 4)


class HitOut(BaseModel):
    """A result."""

    id: str
    score: float = Field(
        description="Cosine similarity of query and document at `rerank_dims`; the fused score if `hybrid`."
    )
    payload: dict[str, Any] = Field(description="The document's fields, or those selected by `include`.")


class PromiseOut(BaseModel):
    """What calibration measured for a plan."""

    recall: float = Field(description="Mean recall over the hardest kind of calibration queries.")
    recall_low: float = Field(
        description="Lower confidence bound on the mean recall over further queries of this kind."
    )
    milliseconds: float = Field(
        description="Median single-thread latency of one query, without encoding it; with a second look, the average "
        "of both paths weighted by their frequency."
    )
    met: bool = Field(description="Whether the plan satisfies the request; if false, no calibrated plan does.")


class PlanOut(BaseModel):
    """The plan that was followed, with all defaults filled in."""

    structure: str
    dims: int
    candidates: int
    rerank_dims: int
    effort: int | None
    stages: list[Rerank] = Field(description="The reranks in order; the last is at `rerank_dims` and keeps k.")
    stop: Annotated[Literal["certified"] | float | None, BeforeValidator(_gap_of)] = Field(
        description="Which candidates the first rerank skips."
    )
    second_look: SecondLookAt | None = Field(description="Which queries are searched a second time.")
    promise: PromiseOut | None = Field(description="What calibration measured; null if the plan is not calibrated.")

    @classmethod
    def from_plan(cls, plan: Plan) -> Self:
        """Read a plan of the index."""
        return cls.model_validate(plan, from_attributes=True)


class StageOut(BaseModel):
    """One stage of a search."""

    name: str
    milliseconds: Annotated[float, AfterValidator(_rounded)] = Field(
        description="For all queries of the request together."
    )
    dims: int | None
    candidates_in: int | None
    candidates_out: int | None
    structure: str | None
    read: float | None = Field(description="Mean number of candidates read per query; null without a stop rule.")
    certified: float | None = Field(
        description="Share of the queries whose results are proven equal to those of reading all candidates."
    )
    margin: float | None = Field(
        description="The k-th score minus the upper bound on the scores of skipped candidates, the minimum over the "
        "queries: a positive margin is the proof. Null if all were read or there is no bound."
    )
    again: float | None = Field(
        description="Share of the queries that were searched a second time; null without a second look."
    )


class SearchAnswer(BaseModel):
    """The response to a search."""

    # The first alternative that matches is the right one; comparing both would double the cost of this model.
    results: list[HitOut] | list[list[HitOut]] = Field(
        union_mode="left_to_right", description="Best first; one list per query if several were sent."
    )
    plan: PlanOut
    stages: list[StageOut] | None = Field(default=None, description="Null unless `explain` is true.")
    generation: str = Field(description="The generation of the index that was searched.")

    @classmethod
    def from_result(cls, result: SearchResult, request: SearchRequest) -> Self:
        """Read a result of the index, and leave out what the request does not ask for."""
        included = request.included
        lists = [hits[request.offset :] for hits in result.hits]
        if included is not None:
            lists = [[Hit(hit.id, hit.score, included.of(hit.payload)) for hit in hits] for hits in lists]
        answer = {
            "results": lists if request.batch else lists[0],
            "plan": result.plan,
            "stages": result.stages if request.explain else None,
            "generation": result.generation,
        }
        return cls.model_validate(answer, from_attributes=True)
