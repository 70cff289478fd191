import dataclasses

from indexer import FunnelStage, HybridOptions, SearchOptions, SecondLook, StopRule, parse_filter
from service.schemas.search import SearchRequest


def test_every_option_of_a_search_can_be_asked_for():
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
