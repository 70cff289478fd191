"""The client against a transport that plays the service's part; both kinds of client run every test."""

import asyncio
import base64
import dataclasses
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import service.client as api
from service.client import AsyncClient, Client, Retries
from service.client import answers as shapes
from service.client.bulk import MOST_BYTES, MOST_ROWS
from service.client.errors import kind_of
from service.engine.compaction import CompactionFacts
from service.schemas import classify as classify_schemas
from service.schemas import documents as document_schemas
from service.schemas import index as index_schemas
from service.schemas import search as search_schemas

URL = "http://service.test"
QUICK = Retries(attempts=4, first_seconds=0.001, longest_seconds=0.002)
PLAN = {
    "structure": "scan",
    "dims": 16,
    "candidates": 20,
    "rerank_dims": 32,
    "effort": None,
    "stages": [{"dims": 32, "keep": 10}],
    "stop": "certified",
    "promise": {"recall": 0.99, "recall_low": 0.95, "milliseconds": 0.1, "met": True},
    "second_look": {"below": 0.4, "effort": 800},
}
HIT = {"id": "7", "score": 0.5, "payload": {"year": 2020}}


def refusal(status, code="code", headers=None, **more):
    error = {"type": "t", "code": code, "message": "why", "param": None, **more}
    return httpx.Response(status, json={"error": error}, headers=headers)


class Service:
    """Answers with what it is given, in turn, the last for ever; keeps the requests."""

    def __init__(self, *script):
        self.script, self.requests = list(script), []

    def __call__(self, request):
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            # Anew each time, for a response is read once.
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)
        return step(request) if callable(step) else httpx.Response(200, json=step)

    @property
    def bodies(self):
        return [json.loads(request.content) for request in self.requests]


class Awaited:
    """An asynchronous client that is called like the other."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return lambda *arguments, **options: asyncio.run(getattr(self._client, name)(*arguments, **options))


@pytest.fixture(params=["sync", "async"])
def connect(request):
    def make(service, **options):
        options = {"retries": QUICK, **options}
        transport = httpx.MockTransport(service)
        if request.param == "sync":
            return Client(URL, http=httpx.Client(transport=transport), **options)
        return Awaited(AsyncClient(URL, http=httpx.AsyncClient(transport=transport), **options))

    return make


def test_importing_the_client_draws_in_no_model_and_no_index():
    program = "import sys, service.client; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "httpx" in loaded
    assert not {"torch", "faiss", "indexer", "models", "fastapi", "numpy", "sentence_transformers"} & set(loaded)


def test_the_package_still_has_the_applications_names():
    import service

    assert callable(service.create_app)
    assert service.Settings.model_fields
    with pytest.raises(AttributeError, match="no attribute 'app_factory'"):
        _ = service.app_factory


def test_public_names_are_sorted_documented_and_there():
    assert api.__all__ == sorted(api.__all__)
    assert all(getattr(api, name).__doc__ for name in api.__all__)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (shapes.Hit, search_schemas.HitOut),
        (shapes.Plan, search_schemas.PlanOut),
        (shapes.Promise, search_schemas.PromiseOut),
        (shapes.Stage, search_schemas.StageOut),
        (shapes.Rerank, search_schemas.Rerank),
        (shapes.SearchAnswer, search_schemas.SearchAnswer),
        (shapes.BatchAnswer, search_schemas.SearchAnswer),
        (shapes.IndexFacts, index_schemas.IndexAnswer),
        (shapes.Compaction, CompactionFacts),
        (shapes.Reloaded, index_schemas.Reloaded),
        (shapes.RolledBack, index_schemas.RolledBack),
        (shapes.Document, document_schemas.DocumentOut),
        (shapes.Upserted, document_schemas.DocumentChange),
        (shapes.LineReport, document_schemas.LineReport),
        (shapes.BulkAnswer, document_schemas.BulkAnswer),
        (shapes.Deleted, document_schemas.DeleteAnswer),
        (shapes.Classification, classify_schemas.ClassifyAnswer),
        (shapes.Cascade, classify_schemas.CascadeOut),
        (shapes.Label, classify_schemas.ClassificationOut),
    ],
)
def test_answers_have_the_fields_that_the_service_sends(ours, theirs):
    assert {field.name for field in dataclasses.fields(ours)} >= theirs.model_fields.keys()


def test_every_parameter_of_a_search_can_be_given():
    sources = {"query", "queries", "vector", "vectors", "image", "images"}
    assert api.SearchParameters.__annotations__.keys() >= search_schemas.SearchRequest.model_fields.keys() - sources


def test_a_search_sends_what_was_given_and_reads_the_answer(connect):
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


def test_a_list_of_numbers_stays_one_and_a_numpy_vector_becomes_base64(connect):
    service = Service({"results": [], "plan": PLAN})
    vector = np.array([1, 2.5, -3])
    connect(service).search(vector=[1.0, 2.5])
    connect(service).search(vector=vector)
    connect(service).search(image=b"\x89PNG")
    first, second, third = service.bodies
    assert first == {"vector": [1.0, 2.5]}
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(second["vector"]), "<f4"), vector.astype("f4"))
    assert base64.b64decode(third["image"]) == b"\x89PNG"


def test_several_queries_answer_a_tuple_each(connect):
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
def test_exactly_one_thing_is_searched_for(connect, given_):
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


def test_documents_are_put_read_and_deleted_whatever_their_id(connect):
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


def test_the_index_is_asked_about_and_changed(connect):
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


def bulk_service(request):
    lines = [json.loads(line) for line in request.content.splitlines()]
    reports = [
        {"line": number, "id": row.get("_id"), "result": "added" if "_id" in row else "rejected", "reason": None}
        for number, row in enumerate(lines, 1)
    ]
    added = sum(report["result"] == "added" for report in reports)
    return httpx.Response(200, json={"added": added, "replaced": 0, "rejected": len(lines) - added, "lines": reports})


def test_many_documents_go_in_requests_of_bounded_size_with_one_report(connect):
    service = Service(bulk_service)
    rows = ({"_id": str(i), "text": "t"} if i % 1000 else {"text": "no id"} for i in range(2 * MOST_ROWS + 5))
    report = connect(service).upsert_many(rows)
    assert [request.content.count(b"\n") for request in service.requests] == [MOST_ROWS, MOST_ROWS, 5]
    assert {request.headers["content-type"] for request in service.requests} == {"application/x-ndjson"}
    assert (report.added, report.replaced, report.rejected) == (2002, 0, 3)
    assert [line.line for line in report.lines] == list(range(1, 2006))
    assert [line.line for line in report.lines if line.result == "rejected"] == [1, 1001, 2001]


@settings(max_examples=12)  # each sends up to 48 MB
@given(sizes=st.lists(st.sampled_from([1, MOST_BYTES // 3, MOST_BYTES, 2 * MOST_BYTES]), max_size=6))
def test_no_row_is_lost_and_no_request_too_long(sizes):
    service = Service(bulk_service)
    with Client(URL, http=httpx.Client(transport=httpx.MockTransport(service))) as client:
        report = client.upsert_many({"_id": str(i), "text": "x" * size} for i, size in enumerate(sizes))
    assert [line.id for line in report.lines] == [str(i) for i in range(len(sizes))]
    for request in service.requests:
        assert len(request.content) <= MOST_BYTES or request.content.count(b"\n") == 1


def test_rows_may_come_from_an_asynchronous_iterable():
    async def rows():
        for i in range(3):
            yield {"_id": str(i), "text": "t"}

    client = AsyncClient(URL, http=httpx.AsyncClient(transport=httpx.MockTransport(Service(bulk_service))))
    assert asyncio.run(client.upsert_many(rows())).added == 3


def test_an_interrupted_upload_says_how_far_it_went(connect):
    service = Service(bulk_service, refusal(500))
    with pytest.raises(api.ServerError) as caught:
        connect(service).upsert_many({"_id": str(i), "text": "t"} for i in range(1500))
    assert "the first 1000 rows were answered (1000 added" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, api.InvalidRequestError),
        (401, api.AuthenticationError),
        (403, api.PermissionDeniedError),
        (404, api.NotFoundError),
        (408, api.ServiceDeadlineError),
        (409, api.ConflictError),
        (413, api.InvalidRequestError),
        (422, api.InvalidRequestError),
        (429, api.OverloadedError),
        (500, api.ServerError),
        (503, api.OverloadedError),
    ],
)
def test_an_error_answer_becomes_an_error_with_all_it_says(connect, status, kind):
    service = Service(refusal(status, "odd", {"x-request-id": "r1"}, param="k"))
    with pytest.raises(kind, match=f"{status} odd: why \\(request r1\\)") as caught:
        connect(service, retries=Retries(attempts=1)).search("a")
    error = caught.value
    assert (error.status, error.code, error.message, error.param, error.request_id) == (status, "odd", "why", "k", "r1")
    assert type(error) is kind is kind_of(status)


def test_the_drawn_tree_is_the_tree():
    doc = sys.modules["service.client.errors"].__doc__
    for name in (name for name in api.__all__ if name.endswith("Error")):
        assert name in doc
        assert issubclass(getattr(api, name), api.ClientError)
    assert issubclass(api.ServiceDeadlineError, TimeoutError)
    assert issubclass(api.NotConnectedError, ConnectionError)


def test_what_is_not_the_service_is_told(connect):
    with pytest.raises(api.UnexpectedAnswerError):
        connect(Service({"hello": "world"})).search("a")
    with pytest.raises(api.UnexpectedAnswerError):
        connect(Service({"data": [{"embedding": "x"}]})).embeddings(["a"])
    with pytest.raises(api.ServerError, match="502 http_error: <html>"):
        connect(Service(httpx.Response(502, text="<html>"))).search("a")
    with pytest.raises(api.InvalidRequestError, match="302"):
        connect(Service(httpx.Response(302, headers={"location": "/login"}))).search("a")


FOUND = {"results": [], "plan": PLAN}


@pytest.mark.parametrize(
    "first",
    [
        refusal(503),
        refusal(429),
        httpx.Response(504),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("gone"),
    ],
    ids=repr,
)
def test_a_search_is_tried_again(connect, first):
    service = Service(first, first, FOUND)
    assert connect(service).search("a").results == ()
    assert len(service.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 422, 500])
def test_what_would_fail_again_is_not_tried_again(connect, status):
    service = Service(refusal(status), FOUND)
    with pytest.raises(api.ApiError):
        connect(service).search("a")
    assert len(service.requests) == 1


def test_attempts_are_bounded(connect):
    service = Service(refusal(503))
    with pytest.raises(api.OverloadedError):
        connect(service).search("a")
    assert len(service.requests) == QUICK.attempts
    service = Service(httpx.ConnectError("refused"))
    with pytest.raises(api.NotConnectedError, match=r"POST http://service.test/v1/search: refused"):
        connect(service).search("a")
    assert len(service.requests) == QUICK.attempts


def test_a_rollback_without_a_target_is_sent_again_only_where_it_cannot_have_arrived(connect):
    change = {"before": "000002", "generation": "000001"}
    service = Service(httpx.ConnectError("refused"), change)
    assert connect(service).rollback().generation == "000001"
    service = Service(httpx.ReadError("reset"), change)
    with pytest.raises(api.ConnectionLostError):
        connect(service).rollback()
    assert len(service.requests) == 1
    assert connect(Service(httpx.ReadError("reset"), change)).rollback("000001").generation == "000001"


def test_the_services_own_pause_is_kept(connect):
    for headers, least in (({"retry-after-ms": "30"}, 0.03), ({"retry-after-ms": "30", "retry-after": "9"}, 0.03)):
        started = time.monotonic()
        connect(Service(refusal(503, headers=headers), FOUND)).search("a")
        assert least <= time.monotonic() - started < 5


def test_a_pause_past_the_deadline_is_not_begun(connect):
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for asked in ("60", later):
        started = time.monotonic()
        with pytest.raises(api.OverloadedError) as caught:
            connect(Service(refusal(503, headers={"retry-after": asked}))).search("a", timeout=5)
        assert time.monotonic() - started < 4
        assert 50 < caught.value.retry_after <= 3600


def test_no_answer_in_time_is_a_deadline_error(connect):
    service = Service(httpx.ReadTimeout("slow"))
    with pytest.raises(api.DeadlineError, match=r"POST /v1/search: no answer in 0.5 seconds") as caught:
        connect(service).search("a", timeout=0.5)
    assert isinstance(caught.value, TimeoutError)
    assert int(service.requests[0].headers["x-timeout-ms"]) <= 500
    assert len(service.requests) == 1


def test_each_attempt_has_less_time_left(connect):
    service = Service(refusal(503, headers={"retry-after-ms": "20"}), FOUND)
    connect(service).search("a", timeout=10)
    first, second = (int(request.headers["x-timeout-ms"]) for request in service.requests)
    assert first - second >= 19


@given(attempt=st.integers(1, 2000), asked=st.none() | st.floats(0, 100))
def test_pauses_lie_where_they_should(attempt, asked):
    pause = Retries(first_seconds=0.1, longest_seconds=3).pause(attempt, asked)
    if asked is None:
        assert 0 <= pause <= min(3, 0.1 * 2 ** min(attempt - 1, 10))
    else:
        assert asked <= pause <= asked + 0.1


def test_not_ready_is_no_error(connect):
    for step in (refusal(503, "not_ready"), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")):
        assert connect(Service(step)).ready() is False
    with pytest.raises(api.NotFoundError):
        connect(Service(refusal(404))).ready()


def test_options_are_checked():
    for make, message in (
        (lambda: Client("localhost:8000"), "give one such as http://localhost:8000"),
        (lambda: Client(URL, timeout=0), "positive number of seconds"),
        (lambda: Retries(attempts=0), "at least 1"),
        (lambda: Retries(first_seconds=9), "not the larger"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_clients_close_what_they_opened_and_leave_open_what_they_were_given():
    with httpx.Client() as given_client:
        with Client(f"{URL}/", http=given_client) as client:
            assert client.url == URL
        assert not given_client.is_closed
        with Client(URL) as own:
            pass
        assert own._http.is_closed

    async def run():
        async with httpx.AsyncClient() as given_client:
            async with AsyncClient(f"{URL}/", http=given_client) as client:
                assert client.url == URL
            assert not given_client.is_closed
            async with AsyncClient(URL) as own:
                pass
            assert own._http.is_closed

    asyncio.run(run())


class TestServed:
    """Against the service itself."""

    def test_searches_and_facts(self, url):
        with httpx.Client(trust_env=False) as http, Client(url, http=http) as client:
            assert client.ready()
            answer = client.search("w1 w2 w3", k=4, explain=True)
            assert len(answer.results) == 4
            assert next(stage.name for stage in answer.stages) == "encode"
            many = client.search_many(["w1 w2 w3", "w4"], k=4)
            assert [hit.id for hit in many.results[0]] == [hit.id for hit in answer.results]
            facts = client.index()
            assert (facts.documents, facts.dimension) == (1000, 32)
            assert len(client.search(vector=[1.0] * 32, filter={"n": {"$lt": 3}}).results) == 3
            with pytest.raises(api.InvalidRequestError) as caught:
                client.search("a", k=0)
            assert (caught.value.code, caught.value.param) == ("invalid_option", "k")

    def test_the_index_and_what_it_lacks(self, url):
        with httpx.Client(trust_env=False) as http, Client(url, http=http) as client:
            assert client.reload() == api.Reloaded("000001", False)
            with pytest.raises(api.ConflictError, match="cannot_roll_back"):
                client.rollback()
            with pytest.raises(api.NotFoundError, match="no_classifier"):
                client.classify(["w1"])
            rows = client.embeddings(["w1", "w2"], dimensions=16).vectors
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
            assert client.get("7").payload["n"] == 7

    def test_asynchronously(self, url):
        async def run():
            async with httpx.AsyncClient(trust_env=False) as http, AsyncClient(url, http=http) as client:
                answers = await asyncio.gather(*(client.search(f"w{i}", k=2) for i in range(8)))
                return await client.ready(), [len(answer.results) for answer in answers]

        assert asyncio.run(run()) == (True, [2] * 8)

    def test_nobody_there(self):
        with pytest.raises(api.NotConnectedError), Client("http://127.0.0.1:9", retries=QUICK) as client:
            client.search("a")
