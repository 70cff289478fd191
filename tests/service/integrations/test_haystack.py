import asyncio

import pytest

pytest.importorskip("haystack")

from haystack import Pipeline, telemetry
from haystack.utils import Secret

from service.client import Client
from service.integrations.haystack import AdaptiveRetriever


def test_telemetry_is_off():
    assert telemetry._telemetry.telemetry is None


def test_documents_have_text_fields_id_and_score(source, expected):
    documents = AdaptiveRetriever(source, top_k=3).run("w1 w2 w3")["documents"]
    assert [document.id for document in documents] == [hit.id for hit in expected]
    for document, hit in zip(documents, expected, strict=True):
        assert document.content == hit.payload["text"]
        assert document.meta == {name: value for name, value in hit.payload.items() if name != "text"}
        assert document.score == pytest.approx(hit.score, abs=1e-5)


def test_it_runs_in_a_pipeline_and_asynchronously(source, expected):
    pipeline = Pipeline()
    pipeline.add_component("retriever", AdaptiveRetriever(source))
    found = pipeline.run({"retriever": {"query": "w1 w2 w3", "top_k": 3}})["retriever"]["documents"]
    assert [document.id for document in found] == [hit.id for hit in expected]
    awaited = asyncio.run(AdaptiveRetriever(source, top_k=3).run_async("w1 w2 w3"))["documents"]
    assert [document.id for document in awaited] == [hit.id for hit in expected]


def test_filters_of_the_component_and_of_a_call(source):
    retriever = AdaptiveRetriever(source, filters={"n": {"$lt": 3}}, options={"recall": 0.9})
    assert sorted(document.meta["n"] for document in retriever.run("w1")["documents"]) == [0, 1, 2]
    theirs = {"field": "meta.n", "operator": "in", "value": [7, 8]}
    assert sorted(document.meta["n"] for document in retriever.run("w1", filters=theirs)["documents"]) == [7, 8]


def test_it_is_serialised_without_the_key(url, monkeypatch, source):
    monkeypatch.setenv("THE_KEY", "secret")
    retriever = AdaptiveRetriever(url, api_key=Secret.from_env_var("THE_KEY"), top_k=4, options={"recall": 0.9})
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    text = pipeline.dumps()
    assert "secret" not in text
    again = Pipeline.loads(text, allowed_modules=[AdaptiveRetriever.__module__]).get_component("retriever")
    assert again.to_dict() == retriever.to_dict()
    assert isinstance(again._searcher.source, Client)
    with pytest.raises(
        TypeError, match=r"a retriever over a\w* \w+ cannot be serialised: create it with the URL of the service"
    ):
        AdaptiveRetriever(source).to_dict()
