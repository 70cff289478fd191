import dataclasses
import json

import pytest
from pydantic import ValidationError

from indexer import (
    FunnelStage,
    Hit,
    HybridOptions,
    Plan,
    Promise,
    SearchOptions,
    SearchResult,
    SecondLook,
    Stage,
    StopRule,
    parse_filter,
)
from models import InvalidOptionError
from service.schemas.search import PlanOut, SearchAnswer, SearchRequest

PLAN = Plan(
    k=2,
    dims=8,
    candidates=40,
    effort=60,
    stages=(FunnelStage(16, 20), FunnelStage(32, 2)),
    structure="hnsw",
    promise=Promise(recall=0.99, recall_low=0.98, milliseconds=0.5),
    stop=StopRule(),
    second_look=SecondLook(below=0.4, effort=800),
)
STAGES = [
    Stage("shortlist", 0.123456, dims=8, candidates_in=100, candidates_out=40, structure="hnsw", again=0.5),
    Stage("rerank", 1.0, dims=32, candidates_in=40, candidates_out=2, read=12.5, certified=1.0, margin=0.25),
]


def hits(*ids):
    return [Hit(identifier, 1 / (n + 1), {"title": identifier, "n": n}) for n, identifier in enumerate(ids)]


def answer(lists, **body):
    request = SearchRequest.model_validate(body or {"query": "w1"})
    return SearchAnswer.from_result(SearchResult(lists, STAGES, PLAN, "000001"), request).model_dump()


class TestRequest:
    def test_every_option_of_a_search_can_be_asked_for(self):
        request = SearchRequest(
            query="w1",
            k=7,
            dims=8,
            candidates=90,
            effort=30,
            rerank_dims=24,
            stages=[{"dims": 16, "keep": 50}],
            recall=0.9,
            milliseconds=2,
            filter={"n": 1},
            stop="certified",
            hybrid={"weight": 0.7},
            second_look={"below": 0.4, "effort": 800},
        )
        options = SearchOptions(
            k=7,
            dims=8,
            candidates=90,
            effort=30,
            rerank_dims=24,
            stages=(FunnelStage(16, 50),),
            recall=0.9,
            milliseconds=2,
            filter=parse_filter({"n": 1}),
            stop=StopRule(),
            hybrid=HybridOptions(weight=0.7),
            second_look=SecondLook(below=0.4, effort=800),
        )
        assert request.options == options
        assert all(getattr(options, field.name) != field.default for field in dataclasses.fields(SearchOptions))

    def test_by_default_the_index_chooses(self):
        assert SearchRequest(query="w1").options == SearchOptions()
        assert SearchRequest(query="w1", stop=0.25).options.stop == StopRule(gap=0.25)

    def test_skipped_results_are_searched_for(self):
        assert SearchRequest(query="w1", k=3, offset=4).options.k == 7

    @pytest.mark.parametrize(
        ("body", "batch"),
        [
            ({"query": "a"}, False),
            ({"queries": ["a"]}, True),
            ({"vector": [1.0]}, False),
            ({"vectors": [[1.0]]}, True),
            ({"image": "eA=="}, False),
            ({"images": ["eA=="]}, True),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
    )
    def test_one_source_is_given_and_says_whether_it_holds_several(self, body, batch):
        assert SearchRequest.model_validate(body).batch is batch
        with pytest.raises(ValidationError, match="given: none"):
            SearchRequest.model_validate({"k": 3})
        with pytest.raises(ValidationError, match="give exactly one of query, queries, vector"):
            SearchRequest.model_validate({"query": "a", "queries": ["b"], **body})

    def test_fields_to_include_are_parsed(self):
        assert SearchRequest(query="a").included is None
        assert SearchRequest(query="a", include=["n"]).included.of({"n": 1, "m": 2}) == {"n": 1}
        with pytest.raises(InvalidOptionError, match="backslash"):
            _ = SearchRequest(query="a", include=["a\\"]).included


class TestAnswer:
    def test_a_single_query_has_one_list_and_several_have_one_each(self):
        assert [hit["id"] for hit in answer([hits("a", "b")])["results"]] == ["a", "b"]
        lists = answer([hits("a"), [], hits("b", "c")], queries=["w1", "w2", "w3"])["results"]
        assert [[hit["id"] for hit in found] for found in lists] == [["a"], [], ["b", "c"]]

    def test_leading_results_are_skipped(self):
        skipped = answer([hits("a", "b", "c"), hits("d")], queries=["w1", "w2"], offset=1)["results"]
        assert [[hit["id"] for hit in found] for found in skipped] == [["b", "c"], []]

    def test_results_have_the_whole_payload_or_the_fields_to_include(self):
        assert answer([hits("a")])["results"] == [{"id": "a", "score": 1.0, "payload": {"title": "a", "n": 0}}]
        assert answer([hits("a")], query="w1", include=["n"])["results"][0]["payload"] == {"n": 0}

    def test_the_plan_is_read_from_the_indexs(self):
        assert answer([[]])["plan"] == {
            "structure": "hnsw",
            "dims": 8,
            "candidates": 40,
            "rerank_dims": 32,
            "effort": 60,
            "stages": [{"dims": 16, "keep": 20}, {"dims": 32, "keep": 2}],
            "stop": "certified",
            "second_look": {"below": 0.4, "effort": 800},
            "promise": {"recall": 0.99, "recall_low": 0.98, "milliseconds": 0.5, "met": True},
        }

    @pytest.mark.parametrize(("rule", "stop"), [(None, None), (StopRule(gap=0.25), 0.25), (StopRule(), "certified")])
    def test_a_stop_rule_is_its_gap(self, rule, stop):
        assert PlanOut.from_plan(dataclasses.replace(PLAN, stop=rule)).stop == stop

    def test_stages_are_there_if_asked_for_with_rounded_times(self):
        assert answer([[]])["stages"] is None
        shortlist, rerank = answer([[]], query="w1", explain=True)["stages"]
        assert shortlist == {**dataclasses.asdict(STAGES[0]), "milliseconds": 0.1235}
        assert rerank == dataclasses.asdict(STAGES[1])

    def test_the_json_is_that_of_the_model(self):
        request = SearchRequest(queries=["w1", "w2"], explain=True)
        made = SearchAnswer.from_result(SearchResult([hits("a"), []], STAGES, PLAN, "000001"), request)
        assert SearchAnswer.model_validate_json(made.model_dump_json()) == made
        assert json.loads(made.model_dump_json())["generation"] == "000001"
