import asyncio
import json

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import (
    SearchOptions,
    parse_filter,
)
from service.schemas.search import MAX_STAGES, PlanOut, SearchRequest
from tests.service.applications import error_of, search, serve, write_plans


def test_a_text_query_returns_what_the_index_finds(client, opened):
    answer = client.post("/v1/search", json={"query": "w1 w2 w3", "k": 4}).raise_for_status().json()
    expected = opened.search(["w1 w2 w3"], SearchOptions(k=4)).hits[0]
    assert [(hit["id"], hit["score"], hit["payload"]) for hit in answer["results"]] == [
        (hit.id, pytest.approx(hit.score), hit.payload) for hit in expected
    ]
    assert answer["results"][0]["payload"].keys() == {"title", "text", "n"}
    assert answer["plan"] == PlanOut.from_plan(opened.plan(SearchOptions(k=4))).model_dump()
    assert answer["plan"]["stages"][-1] == {"dims": 32, "keep": 4}
    assert answer["stages"] is None


def test_a_vector_query_returns_the_results_of_its_text(client, opened):
    vector = opened.encoder.encode_queries(["w1 w2 w3"])[0]
    by_text = client.post("/v1/search", json={"query": "w1 w2 w3"}).json()["results"]
    by_vector = client.post("/v1/search", json={"vector": (3 * vector).tolist()}).json()["results"]
    assert [hit["id"] for hit in by_vector] == [hit["id"] for hit in by_text]


def test_several_queries_return_a_list_each(client, opened):
    single = [client.post("/v1/search", json={"query": text}).json()["results"] for text in ("w1", "w2")]
    assert client.post("/v1/search", json={"queries": ["w1", "w2"]}).json()["results"] == single
    vectors = opened.encoder.encode_queries(["w1", "w2"]).tolist()
    assert len(client.post("/v1/search", json={"vectors": vectors, "k": 3}).json()["results"][1]) == 3


def test_explain_reports_the_stages(client, opened):
    answer = client.post("/v1/search", json={"query": "w1", "k": 2, "candidates": 50, "explain": True}).json()
    assert [stage["name"] for stage in answer["stages"]] == ["encode", "shortlist", "rerank", "documents"]
    shortlist, rerank = answer["stages"][1:3]
    assert (shortlist["candidates_in"], shortlist["candidates_out"], shortlist["structure"]) == (
        1000,
        50,
        opened.manifest.shortlist.kind,
    )
    assert (rerank["dims"], rerank["candidates_in"], rerank["candidates_out"]) == (32, 50, 2)


def test_a_stop_rule_reports_what_it_skipped_and_by_what_margin(client, opened):
    text = opened.view.fetch([5])[0].payload["text"]  # found surely, as nothing else comes near
    body = {"query": text, "k": 1, "candidates": 200, "explain": True}
    rerank = client.post("/v1/search", json={**body, "stop": "certified"}).json()["stages"][2]
    assert (rerank["name"], rerank["read"] < 200) == ("rerank", True)
    assert isinstance(rerank["margin"], float)
    assert rerank["certified"] == (rerank["margin"] > 0)
    plain = client.post("/v1/search", json=body).json()["stages"]
    assert all(stage["margin"] is None for stage in plain)


def test_sizes_and_candidates_are_used(client):
    body = {"query": "w1 w2", "dims": 8, "candidates": 20, "rerank_dims": 24, "effort": 30}
    plan = client.post("/v1/search", json=body).json()["plan"]
    assert plan == {
        "structure": "scan",
        "dims": 8,
        "candidates": 20,
        "rerank_dims": 24,
        "effort": 30,
        "stages": [{"dims": 24, "keep": 10}],
        "stop": None,
        "second_look": None,
        "promise": None,
    }


def test_a_funnel_is_used(client):
    funnel = [{"dims": 16, "keep": 60}, {"dims": 24, "keep": 30}]
    body = {"query": "w1 w2", "k": 5, "dims": 8, "candidates": 100, "stages": funnel, "explain": True}
    answer = client.post("/v1/search", json=body).json()
    assert answer["plan"]["stages"] == [*funnel, {"dims": 32, "keep": 5}]
    reranks = [stage for stage in answer["stages"] if stage["name"] == "rerank"]
    assert [(stage["dims"], stage["candidates_in"], stage["candidates_out"]) for stage in reranks] == [
        (16, 100, 60),
        (24, 60, 30),
        (32, 30, 5),
    ]


def test_a_filter_is_applied(client, opened):
    condition = {"n": {"$lt": 40}, "$not": {"n": 3}}
    answer = client.post("/v1/search", json={"query": "w1 w2", "k": 100, "filter": condition, "explain": True}).json()
    assert sorted(hit["payload"]["n"] for hit in answer["results"]) == [n for n in range(40) if n != 3]
    expected = opened.search(["w1 w2"], SearchOptions(k=100, filter=parse_filter(condition))).hits[0]
    assert [hit["id"] for hit in answer["results"]] == [hit.id for hit in expected]
    assert answer["stages"][1]["name"] == "filter"
    assert answer["stages"][1]["candidates_out"] == 39
    assert client.post("/v1/search", json={"query": "w1", "filter": {"n": -1}}).json()["results"] == []


@pytest.mark.parametrize(("below", "again"), [(2.0, 1), (-2.0, 0)])
def test_a_second_look_is_used_and_reported(client, below, again):
    look = {"below": below, "effort": 300}
    body = {"queries": ["w1 w2", "w3"], "candidates": 20, "effort": 20, "second_look": look, "explain": True}
    answer = client.post("/v1/search", json=body).json()
    assert answer["plan"]["second_look"] == look
    assert [stage["again"] for stage in answer["stages"] if stage["name"] == "shortlist"] == [again]
    single = client.post("/v1/search", json={**body, "second_look": None, "effort": 300 if again else 20}).json()
    assert answer["results"] == single["results"]


@pytest.mark.parametrize("look", [{"below": 0.5}, {"effort": 300}, {"below": 0.5, "effort": 10**9}, {"below": "x"}])
def test_an_invalid_second_look_is_refused(client, look):
    answer = client.post("/v1/search", json={"query": "w1", "second_look": look})
    assert answer.status_code == 422
    assert "second_look" in answer.json()["error"]["param"]


def test_a_stop_rule_is_used_and_reported(client):
    body = {"query": "w1 w2", "candidates": 300, "explain": True}
    whole = client.post("/v1/search", json=body).json()
    certified = client.post("/v1/search", json={**body, "stop": "certified"}).json()
    assert certified["results"] == whole["results"]
    assert certified["plan"]["stop"] == "certified"
    assert [stage["certified"] for stage in certified["stages"] if stage["name"] == "rerank"] == [1]
    gap = client.post("/v1/search", json={**body, "stop": 0.01}).json()
    assert gap["plan"]["stop"] == 0.01
    assert [10 <= stage["read"] < 300 for stage in gap["stages"] if stage["name"] == "rerank"] == [True]


def test_scores_are_cosines(client, opened):
    (hit,) = client.post("/v1/search", json={"query": opened.view.fetch([5])[0].payload["text"], "k": 1}).json()[
        "results"
    ]
    assert -1 <= hit["score"] <= 1 + 1e-6
    assert np.isfinite(hit["score"])


def test_concurrent_clients_get_the_answers_of_a_single_one(client, url):
    texts = [f"w{i} w{i + 1}" for i in range(40)]
    serial = [client.post("/v1/search", json={"query": text}).json() for text in texts]

    async def run():
        async with httpx.AsyncClient(base_url=url, trust_env=False) as many:
            answers = await asyncio.gather(*(many.post("/v1/search", json={"query": text}) for text in texts))
        return [answer.json() for answer in answers]

    assert asyncio.run(run()) == serial


def test_the_searched_generation_is_reported(client):
    assert search(client, query="w1")["generation"] == client.get("/v1/index").json()["generation"] == "000001"


def test_only_the_requested_fields_are_returned(client):
    for include, names in ((["title", "n"], {"title", "n"}), ([], set()), (["nope", "n.deeper"], set())):
        for hit in search(client, query="w1", include=include)["results"]:
            assert hit["payload"].keys() == names
    assert search(client, query="w1")["results"][0]["payload"].keys() == {"title", "text", "n"}
    lists = search(client, queries=["w1", "w2"], include=["n"])["results"]
    assert all(hit["payload"].keys() == {"n"} for hits in lists for hit in hits)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"query": "a", "k": 0}, "k", "greater than or equal to 1 (given 0)"),
        ({"query": "a", "k": "3"}, "k", "given '3'"),
        ({"query": "a", "k": 1001}, "k", "k 1001: this service allows at most 1000"),
        ({"query": "a", "candidates": 10_001}, "candidates", "at most 10000"),
        ({"query": "a", "effort": 10_001}, "effort", "at most 10000"),
        ({"query": "a", "candidates": 3}, "candidates", "candidates 3 is smaller than k 10"),
        ({"query": "a", "dims": 33}, "dims", "dims 33: allowed are 1 to 32"),
        ({"query": "a", "dims": 16, "rerank_dims": 8}, "rerank_dims", "smaller than dims"),
        ({"query": "a" * 20_001}, "query", "20001 characters"),
        ({"queries": ["a"] * 257}, "queries", "257 queries: this service allows 1 to 256"),
        ({"queries": []}, "queries", "0 queries"),
        (
            {"query": "a", "vector": [1]},
            None,
            "exactly one of query, queries, vector, vectors, image, images; given: query, vector",
        ),
        ({}, None, "given: none"),
        ({"vector": [1, 2]}, "vector", "a vector of 2 numbers: the index has 32 dimensions"),
        ({"vectors": [[0] * 32, [0] * 31]}, "vector", "a vector of 31 numbers"),
        ({"vector": [1e300] * 32}, "vector", "NaN or infinity"),
        ({"query": "a", "dimensions": 8}, "dimensions", "Extra inputs are not permitted"),
        ({"query": "a", "recall": 0}, "recall", "greater than 0 (given 0)"),
        ({"query": "a", "recall": 95}, "recall", "less than or equal to 1 (given 95)"),
        ({"query": "a", "recall": "0.9"}, "recall", "given '0.9'"),
        ({"query": "a", "recall": True}, "recall", "valid number"),
        ({"query": "a", "milliseconds": 0}, "milliseconds", "greater than 0"),
        ({"query": "a", "filter": [1]}, "filter", "valid dictionary"),
        ({"query": "a", "filter": {"n": {"$near": 1}}}, "filter", "'$near' is not an operator on field"),
        ({"query": "a", "stages": [{"dims": 24}]}, "stages.0.keep", "Field required"),
        ({"query": "a", "stages": [[24, 5]]}, "stages.0", "valid dictionary"),
        ({"query": "a", "stages": [{"dims": 8, "keep": 50}]}, "stages", "dimensions must not fall"),
        ({"query": "a", "stages": [{"dims": 24, "keep": 201}]}, "stages", "candidates not grow"),
        ({"query": "a", "stages": [{"dims": 24, "keep": 50}] * (MAX_STAGES + 1)}, "stages", "at most 16 items"),
    ],
)
def test_invalid_options_are_refused_by_name(client, body, param, message):
    response = client.post("/v1/search", json=body)
    assert response.status_code == 422
    error = error_of(response)
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_option", param)
    assert message in error["message"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff", 400),
        (b"[1]", 422),
        (b"[" * 100_000, 400),
        (b'{"query": "\\ud800"}', 422),
        (b'{"queries": ["a", "\\udfff"]}', 422),
        (b'{"\\ud800": 1, "query": "a"}', 422),
        (b'{"query": "a", "k": 1e999}', 422),
        (b'{"query": "a", "k": ' + b"9" * 5000 + b"}", 400),
        (b'{"vector": [NaN]}', 422),
        (b'{"query": "a", "recall": NaN}', 422),
        (b'{"query": "a", "milliseconds": Infinity}', 422),
        (b'{"query": "a", "milliseconds": 1' + b"0" * 400 + b"}", 422),
        (b'{"query": "a", "filter": {"n": NaN}}', 422),
        (b'{"query": "a", "filter": {"n": "\\ud800"}}', 422),
        (b'{"query": "a", "filter": ' + b'{"$not": ' * 200 + b"{}" + b"}" * 200 + b"}", 422),
        (b'{"query": "\\u0000"}', 200),
    ],
)
def test_hostile_bodies(client, content, status):
    response = client.post("/v1/search", content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    if status != 200:
        error_of(response)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"n": {"$in": list(range(1001))}}, "lists 1001 values"),
        ({"$or": [{"n": i} for i in range(300)]}, "more than 256 conditions"),
        (
            {"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{"$and": [{}]}]}]}]}]}]}]}]},
            "8 levels",
        ),
    ],
)
def test_a_large_filter_is_refused(client, condition, message):
    answer = client.post("/v1/search", json={"query": "a", "filter": condition})
    assert (answer.status_code, error_of(answer)["param"]) == (422, "filter")
    assert message in error_of(answer)["message"]


def test_beyond_the_last_result_there_is_nothing(client):
    assert search(client, query="w1", filter={"n": {"$lt": 5}}, k=10, offset=5)["results"] == []
    assert search(client, queries=["w1", "w2"], filter={"n": {"$lt": 5}}, k=10, offset=3)["results"] != [[], []]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


fields = st.sampled_from([*SearchRequest.model_fields, "offset"])


@given(st.dictionaries(fields, json_values | st.integers(-2, 40), max_size=5), st.booleans())
def test_nothing_a_client_sends_gives_a_server_error(url, body, plausible):
    if plausible:
        body = {
            "query": "w1",
            **{name: value for name, value in body.items() if name not in ("queries", "vector", "vectors")},
        }
    response = httpx.post(f"{url}/v1/search", content=json.dumps(body), trust_env=False)
    assert response.status_code < 500
    if response.status_code != 200:
        error_of(response)


class TestCalibrated:
    """An index with calibrated plans that the test makes up."""

    def test_a_target_recall_or_latency_selects_the_plan(self, root):
        async def scenario(client, engine):

            async def ask(**wanted):
                answer = await client.post("/v1/search", json={"query": "w1 w2", "k": 5, **wanted})
                plan = answer.raise_for_status().json()["plan"]
                return plan["candidates"], plan["promise"]

            promise = {"recall": 0.999, "recall_low": 0.998, "milliseconds": 0.1, "met": True}
            assert await ask(recall=0.99) == (10, promise)
            assert (await ask(recall=0.9985))[0] == 400
            assert (await ask(milliseconds=5.0))[0] == 400
            assert (await ask(milliseconds=0.5))[0] == 10
            candidates, promise = await ask(recall=1)
            assert (candidates, promise["met"]) == (400, False)
            refused = await client.post("/v1/search", json={"query": "w1", "recall": 0.9, "dims": 8})
            assert (refused.status_code, error_of(refused)["param"]) == (422, "recall")
            assert "together with dims" in error_of(refused)["message"]

        write_plans(root, (10, 0.998, 0.1), (400, 0.9985, 1.0))
        serve(root, scenario)

    @pytest.mark.parametrize("name", ["recall", "milliseconds"])
    def test_without_plans_a_target_is_refused(self, root, name):
        async def scenario(client, engine):
            assert (await client.get("/v1/index")).json()["calibration"] is None
            refused = await client.post("/v1/search", json={"query": "w1", name: 0.9})
            assert (refused.status_code, error_of(refused)["param"]) == (422, name)
            assert "no calibrated plans; measure them with mrl index calibrate" in error_of(refused)["message"]

        write_plans(root)
        serve(root, scenario)
