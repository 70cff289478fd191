import inspect
import time

import httpx
import numpy as np
import pytest

import service.client as api
from service.client import Client, calls
from tests.service.client.fakes import FOUND, QUICK, URL, Service, bulk_service, refusal


def make(service):
    return Client(URL, http=httpx.Client(transport=httpx.MockTransport(service)), retries=QUICK)


def test_a_call_is_retried_after_a_pause():
    service = Service(refusal(503, headers={"retry-after-ms": "30"}), httpx.ReadError("reset"), FOUND)
    started = time.monotonic()
    assert make(service).search("a").results == ()
    assert time.monotonic() - started >= 0.03
    assert len(service.requests) == 3


def test_rows_are_sent_as_they_come():
    service = Service(bulk_service)
    sent = []

    def rows():
        for i in range(1500):
            sent.append(len(service.requests))
            yield {"_id": str(i), "text": "t"}

    assert make(service).upsert_many(rows()).added == 1500
    assert set(sent) == {0, 1}, "all rows were read before the first request"


def test_methods_have_the_signature_and_docstring_of_their_call():
    signature = inspect.signature(Client.search)
    assert [*signature.parameters][:3] == ["self", "query", "vector"]
    assert signature.return_annotation == "answers.SearchAnswer"
    assert Client.search.__doc__ == calls.search.__doc__


def test_it_closes_what_it_opened_and_leaves_open_what_it_was_given():
    with httpx.Client() as given:
        with Client(f"{URL}/", http=given) as client:
            assert client.url == URL
        assert not given.is_closed
    with Client(URL) as own:
        pass
    assert own._http.is_closed


class TestServed:
    """Against the service itself."""

    @pytest.fixture
    def served(self, url):
        with httpx.Client(trust_env=False) as http, Client(url, http=http) as client:
            yield client

    def test_searches_and_facts(self, served):
        assert served.ready()
        answer = served.search("w1 w2 w3", k=4, explain=True)
        assert len(answer.results) == 4
        assert next(stage.name for stage in answer.stages) == "encode"
        many = served.search_many(["w1 w2 w3", "w4"], k=4)
        assert [hit.id for hit in many.results[0]] == [hit.id for hit in answer.results]
        facts = served.index()
        assert (facts.documents, facts.dimension) == (1000, 32)
        assert len(served.search(vector=[1.0] * 32, filter={"n": {"$lt": 3}}).results) == 3

    def test_errors_name_the_field(self, served):
        with pytest.raises(api.InvalidRequestError) as caught:
            served.search("a", k=0)
        assert (caught.value.code, caught.value.param) == ("invalid_option", "k")

    def test_the_index_and_what_it_lacks(self, served):
        assert served.reload() == api.Reloaded("000001", False)
        with pytest.raises(api.ConflictError, match="cannot_roll_back"):
            served.rollback()
        with pytest.raises(api.NotFoundError, match="no_classifier"):
            served.classify(["w1"])
        assert served.get("7").payload["n"] == 7

    def test_embeddings(self, served):
        rows = served.embeddings(["w1", "w2"], dimensions=16).vectors
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)

    def test_nobody_listens(self):
        with pytest.raises(api.NotConnectedError), Client("http://127.0.0.1:9", retries=QUICK) as client:
            client.search("a")
