"""``POST /v1/search``: request and answer."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from indexer import Plan, SearchOptions, SearchResult, Stage
from indexer.filters import parse_filter
from indexer.plan import FunnelStage, Promise, SecondLook, StopRule
from service.schemas.hybrid import HybridSwitch
from service.schemas.include import Included
from service.schemas.vectors import Vector

MOST_STAGES: Final = 16
MOST_FIELDS: Final = 256
_SOME: Final[dict[str, Any]] = {"minItems": 1}
SOURCES: Final = ("query", "queries", "vector", "vectors", "image", "images")


class Rerank(BaseModel):
    """One rerank of a funnel."""

    model_config = ConfigDict(extra="forbid")

    dims: StrictInt = Field(ge=1, description="Size the candidates are ranked by.")
    keep: StrictInt = Field(ge=1, description="How many of them are left.")


class SecondLookAt(BaseModel):
    """Queries that the structure is searched for again."""

    model_config = ConfigDict(extra="forbid")

    below: StrictFloat = Field(
        allow_inf_nan=False, description="The coarse score that a first search's best candidate lies under."
    )
    effort: StrictInt = Field(ge=1, description="Effort of the second search, more than the first's.")

    @property
    def look(self) -> SecondLook:
        """The rule for the index."""
        return SecondLook(below=self.below, effort=self.effort)


class SearchRequest(BaseModel):
    """A search: exactly one of ``query``, ``queries``, ``vector``, ``vectors``, ``image`` and ``images``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"query": "parse a date", "k": 5}],
            "oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in SOURCES],
        },
    )

    query: str | None = Field(default=None, description="Text to search for.")
    queries: list[str] | None = Field(
        default=None, description="Several texts; `results` holds one list for each.", json_schema_extra=_SOME
    )
    vector: Vector | None = Field(default=None, description="A query vector of the index's model, of any scale.")
    vectors: list[Vector] | None = Field(default=None, description="Several query vectors.", json_schema_extra=_SOME)
    image: str | None = Field(
        default=None, description="An image to search for, where the model has images: base64 of a file."
    )
    images: list[str] | None = Field(default=None, description="Several images.", json_schema_extra=_SOME)
    k: StrictInt = Field(default=10, ge=1, description="Results wanted.")
    offset: StrictInt = Field(
        default=0,
        ge=0,
        description="Results passed over: the answer is the end of that to a search for `offset` + `k`.",
    )
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
    stages: list[Rerank] | None = Field(
        default=None,
        max_length=MOST_STAGES,
        description="Reranks between the shortlist and the last one: sizes do not fall, candidates do not grow.",
    )
    stop: Literal["certified"] | Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Which candidates the first rerank leaves unread: `certified`, those that provably cannot enter "
        "the answer; a number, those whose coarse score lies more than that under the k-th candidate's. None where "
        "absent, but a calibrated plan may have a gap of its own.",
    )
    second_look: SecondLookAt | None = Field(
        default=None,
        description="Queries whose first search finds nothing near are searched for again, with more effort. None "
        "where absent, but a calibrated plan may have a second look of its own.",
    )
    recall: StrictFloat | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Recall wanted, against exact search; the fastest calibrated plan that holds it is taken, or the "
        "closest to it, whose promise is not `met`. Not together with a plan by hand: `dims`, `candidates`, "
        "`rerank_dims`, `effort`, `stages`, `stop`, `second_look`.",
    )
    milliseconds: StrictFloat | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Time the search of one query may take, without encoding it, on the machine of the calibration; "
        "the calibrated plan of the best recall within it is taken.",
    )
    filter: dict[str, Any] | None = Field(
        default=None,
        description="Only documents that match are found.",
        examples=[{"lang": {"$in": ["en", "fr"]}, "year": {"$gte": 1990}}],
    )
    include: list[str] | None = Field(
        default=None,
        max_length=MOST_FIELDS,
        description="Fields of the payload to answer with, dots leading into objects; all where absent, none for `[]`. "
        "A field that a document does not have is left out.",
        examples=[["title", "meta.source"]],
    )
    hybrid: HybridSwitch = Field(
        default=None,
        description="Search by the words of the text too, and fuse both lists of candidates: true, or an object. Only "
        "with `query` or `queries`, and where the index was built with `--lexical`.",
        examples=[True, {"fusion": "weighted", "weight": 0.5}],
    )
    explain: bool = Field(default=False, description="Answer with the stages of the search.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCES)}; given: {', '.join(given) or 'none'}")
        return self

    @property
    def batch(self) -> bool:
        """Whether several queries were sent, so that ``results`` is a list of lists."""
        return self.queries is not None or self.vectors is not None or self.images is not None

    @property
    def included(self) -> Included | None:
        """The fields to answer with; all where None.

        Raises:
            InvalidOptionError: a name is that of no field.
        """
        return None if self.include is None else Included.parse(self.include)

    @property
    def options(self) -> SearchOptions:
        """The options for the index.

        Raises:
            InvalidOptionError: the filter is not one.
        """
        return SearchOptions(
            k=self.k + self.offset,
            dims=self.dims,
            candidates=self.candidates,
            effort=self.effort,
            rerank_dims=self.rerank_dims,
            stages=tuple(FunnelStage(stage.dims, stage.keep) for stage in self.stages or ()),
            stop=None if self.stop is None else StopRule(gap=None if self.stop == "certified" else self.stop),
            second_look=None if self.second_look is None else self.second_look.look,
            recall=self.recall,
            milliseconds=self.milliseconds,
            filter=None if self.filter is None else parse_filter(self.filter),
            hybrid=None if self.hybrid is None else self.hybrid.options,
        )


class HitOut(BaseModel):
    """A result."""

    id: str
    score: float = Field(description="Cosine of query and document at `rerank_dims`; the fused score where `hybrid`.")
    payload: dict[str, Any] = Field(description="The document's fields, those that were asked for.")


class PromiseOut(BaseModel):
    """What calibration measured of a plan."""

    recall: float = Field(description="Mean recall over the calibration's queries.")
    recall_low: float = Field(description="A lower bound on the mean recall of further queries of their kind.")
    milliseconds: float = Field(
        description="Time of one query on one thread, without encoding it: the median; where some queries are searched "
        "for twice, of the mean of both ways by how often each is taken."
    )
    met: bool = Field(description="Whether this is what was asked for; where not, no calibrated plan is.")

    @classmethod
    def of(cls, promise: Promise) -> Self:
        """Take it from a plan's promise."""
        return cls(
            recall=promise.recall,
            recall_low=promise.recall_low,
            milliseconds=promise.milliseconds,
            met=promise.met,
        )


class PlanOut(BaseModel):
    """What was done, with every default filled in."""

    structure: str
    dims: int
    candidates: int
    rerank_dims: int
    effort: int | None
    stages: list[Rerank] = Field(description="The reranks in order; the last has the size `rerank_dims` and keeps k.")
    stop: Literal["certified"] | float | None = Field(description="Which candidates the first rerank leaves unread.")
    second_look: SecondLookAt | None = Field(description="Which queries the structure is searched for again.")
    promise: PromiseOut | None = Field(description="Where the plan was calibrated.")

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Take it from a plan."""
        return cls(
            structure=plan.structure,
            dims=plan.dims,
            candidates=plan.candidates,
            rerank_dims=plan.rerank_dims,
            effort=plan.effort,
            stages=[Rerank(dims=stage.dims, keep=stage.keep) for stage in plan.stages],
            stop=plan.stop and ("certified" if plan.stop.gap is None else plan.stop.gap),
            second_look=plan.second_look and SecondLookAt(below=plan.second_look.below, effort=plan.second_look.effort),
            promise=None if plan.promise is None else PromiseOut.of(plan.promise),
        )


class StageOut(BaseModel):
    """One step of a search."""

    name: str
    milliseconds: float = Field(description="For all queries of the request together.")
    dims: int | None
    candidates_in: int | None
    candidates_out: int | None
    structure: str | None
    read: float | None = Field(description="Candidates read a query, the mean, where a stop rule left some out.")
    certified: float | None = Field(
        description="Share of the queries whose answer is proved to be that of reading all candidates."
    )
    margin: float | None = Field(
        description="The k-th score less the highest that a candidate left unread could have, the least over the "
        "queries: a positive one is the proof. Null where all were read, or where there is no bound."
    )
    again: float | None = Field(
        description="Share of the queries that the structure was searched for a second time, where a second look is "
        "asked for."
    )

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
            read=stage.read,
            certified=stage.certified,
            margin=stage.margin,
            again=stage.again,
        )


class SearchAnswer(BaseModel):
    """The answer to a search."""

    results: list[HitOut] | list[list[HitOut]] = Field(description="Best first; a list for each of several queries.")
    plan: PlanOut
    stages: list[StageOut] | None = Field(default=None, description="Only where `explain` was asked for.")
    generation: str = Field(description="The generation of the index that was searched.")

    @classmethod
    def of(cls, result: SearchResult, request: SearchRequest) -> Self:
        """Shape a result as the request asked."""
        included = request.included
        lists = [
            [
                HitOut(
                    id=hit.id, score=hit.score, payload=hit.payload if included is None else included.of(hit.payload)
                )
                for hit in hits[request.offset :]
            ]
            for hits in result.hits
        ]
        return cls(
            results=lists if request.batch else lists[0],
            plan=PlanOut.of(result.plan),
            stages=[StageOut.of(stage) for stage in result.stages] if request.explain else None,
            generation=result.generation,
        )
