import base64
import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

import service.client as api
from service.client import answers as shapes
from service.client import calls
from tests.service.client.fakes import HIT, PLAN, URL, Service


def test_every_parameter_of_a_search_can_be_given():
    sources = {"query", "queries", "vector", "vectors", "image", "images"}
    openapi = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))
    fields = openapi["components"]["schemas"]["SearchRequest"]["properties"].keys()
    assert api.SearchParameters.__annotations__.keys() == fields - sources


def test_a_search_sends_its_options_and_reads_the_answer(connect):
    service = Service({"results": [HIT], "plan": PLAN, "stages": None, "generation": "000002", "new": 1})
    answer = connect(service, api_key="secret").search("tides", k=3, filter={"year": {"$gte": 1990}}, recall=None)
    assert service.bodies == [{"query": "tides", "k": 3, "filter": {"year": {"$gte": 1990}}}]
    (request,) = service.requests
    assert (request.method, str(request.url)) == ("POST", f"{URL}/v1/search")
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["content-type"] == "application/json"
    assert 0 < int(request.headers["x-timeout-ms"]) <= 30_000
    assert answer.results == (api.Hit("7", 0.5, {"year": 2020}),)
    assert answer.plan.stages == (api.Rerank(32, 10),)
    assert answer.plan.promise == api.Promise(0.99, 0.95, 0.1, True)
    assert (answer.stages, answer.generation) == (None, "000002")


def test_a_list_is_sent_as_a_list_and_a_numpy_vector_as_base64(connect):
    service = Service({"results": [], "plan": PLAN})
    vector = np.array([1, 2.5, -3])
    connect(service).search(vector=[1.0, 2.5])
    connect(service).search(vector=vector)
    connect(service).search(image=b"\x89PNG")
    first, second, third = service.bodies
    assert first == {"vector": [1.0, 2.5]}
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(second["vector"]), "<f4"), vector.astype("f4"))
    assert base64.b64decode(third["image"]) == b"\x89PNG"


def test_each_of_several_queries_has_its_results(connect):
    service = Service({"results": [[HIT], []], "plan": PLAN, "stages": [{"name": "encode", "milliseconds": 1}]})
    client = connect(service)
    answer = client.search_many(["a", "b"], explain=True)
    assert [len(found) for found in answer.results] == [1, 0]
    assert answer.stages == (api.Stage("encode", 1),)
    client.search_many(vectors=np.eye(2, dtype=np.float32))
    client.search_many(images=[b"a"])
    assert service.bodies[0] == {"queries": ["a", "b"], "explain": True}
    assert [len(base64.b64decode(text)) for text in service.bodies[1]["vectors"]] == [8, 8]
    assert service.bodies[2] == {"images": ["YQ=="]}


@pytest.mark.parametrize("given_", [{}, {"query": "a", "vector": [1.0]}])
def test_a_search_needs_exactly_one_source(connect, given_):
    with pytest.raises(ValueError, match="exactly one of query, vector, image; given: "):
        connect(Service({})).search(**given_)


def test_embeddings_are_an_array(connect):
    rows = np.arange(6, dtype="<f4").reshape(2, 3)
    data = [{"index": i, "embedding": base64.b64encode(row.tobytes()).decode()} for i, row in enumerate(rows)]
    service = Service({"object": "list", "model": "m", "data": data})
    answer = connect(service).embeddings(["a", "b"], dimensions=3, input_type="query")
    expected = {"input": ["a", "b"], "encoding_format": "base64", "dimensions": 3, "input_type": "query"}
    assert service.bodies == [expected]
    np.testing.assert_array_equal(answer.vectors, rows)
    assert (answer.model, answer.vectors.dtype) == ("m", np.float32)


def test_texts_are_classified(connect):
    service = Service({"results": [{"label": "sea", "confidence": 0.9, "dims": 8}], "model": "m", "mean_dims": 8})
    answer = connect(service).classify(["tides"])
    assert answer == api.Classification((api.Label("sea", 0.9, 8),), "m", 8)
    connect(service).classify(images=[b"x"], dims=8)
    assert service.bodies == [{"input": ["tides"]}, {"images": ["eA=="], "dims": 8}]


def test_documents_of_any_id_are_written_read_and_deleted(connect):
    service = Service(
        {"id": "a/ü?", "result": "added"}, {"id": "a/ü?", "payload": {"n": 1}}, {"deleted": 1, "missing": 1}
    )
    client = connect(service)
    assert client.upsert("a/ü?", {"text": "t", "_vector": np.ones(2)}) == api.Upserted("a/ü?", "added")
    assert client.get("a/ü?") == api.Document("a/ü?", {"n": 1})
    assert client.delete("a/ü?") is None
    assert client.delete_many(["a", "b"]) == api.Deleted(1, 1)
    assert [request.method for request in service.requests] == ["PUT", "GET", "DELETE", "POST"]
    assert json.loads(service.requests[3].content) == {"ids": ["a", "b"]}
    assert {request.url.raw_path for request in service.requests[:3]} == {b"/v1/documents/a%2F%C3%BC%3F"}
    assert json.loads(service.requests[0].content) == {"text": "t", "_vector": "AACAPwAAgD8="}


def test_the_index_is_described_and_administered(connect):
    facts = {field.name: 1 for field in dataclasses.fields(shapes.IndexFacts)}
    facts |= dict.fromkeys(("generation", "created", "metric", "model", "model_hash", "vectors"), "x")
    facts |= {"sizes": [8, 16], "shortlist": {}, "calibration": None, "lexical": None, "recall_watch": {}}
    facts |= {"created": "2025-01-31T10:00:00Z", "compaction": {"state": "none"}}
    change = {"before": "000002", "generation": "000001"}
    running = httpx.Response(202, json={"state": "running", "started": "2025-01-31T10:00:00Z"})
    service = Service(facts, {"generation": "000001", "changed": True}, change, change, running, {"status": "ready"})
    client = connect(service)
    assert (client.index().sizes, client.reload()) == ((8, 16), api.Reloaded("000001", True))
    assert client.rollback() == client.rollback("000001") == api.RolledBack("000002", "000001")
    assert client.compact() == api.Compaction("running", datetime(2025, 1, 31, 10, tzinfo=UTC))
    assert client.ready()
    assert [(request.method, request.url.path, request.content) for request in service.requests] == [
        ("GET", "/v1/index", b""),
        ("POST", "/v1/index/reload", b""),
        ("POST", "/v1/index/rollback", b"{}"),
        ("POST", "/v1/index/rollback", b'{"to":"000001"}'),
        ("POST", "/v1/index/compact", b""),
        ("GET", "/readyz", b""),
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda: calls.search_many("moon"),
        lambda: calls.search_many(images=b"png"),
        lambda: calls.embeddings("moon"),
        lambda: calls.classify("moon"),
        lambda: calls.classify(images=b"png"),
        lambda: calls.delete_many("123"),
    ],
)
def test_a_single_value_is_not_taken_for_a_list_of_its_letters(call):
    with pytest.raises(ValueError, match=r"given as a single (str|bytes): pass a list"):
        call()
