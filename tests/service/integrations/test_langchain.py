import asyncio

import pytest

pytest.importorskip("langchain_core")

from langchain_core.runnables import RunnableLambda

from service.integrations.langchain import AdaptiveRetriever


def test_documents_have_text_fields_id_and_score(source, expected):
    documents = AdaptiveRetriever(source=source, k=3).invoke("w1 w2 w3")
    assert [document.id for document in documents] == [hit.id for hit in expected]
    for document, hit in zip(documents, expected, strict=True):
        assert document.page_content == hit.payload["text"]
        fields = {name: value for name, value in hit.payload.items() if name != "text"}
        assert document.metadata == {**fields, "id": hit.id, "score": pytest.approx(hit.score, abs=1e-5)}


def test_it_runs_asynchronously_in_batches_and_in_chains(source, expected):
    retriever = AdaptiveRetriever(source=source, k=3)
    ids = [hit.id for hit in expected]
    assert [document.id for document in asyncio.run(retriever.ainvoke("w1 w2 w3"))] == ids
    assert [[document.id for document in found] for found in retriever.batch(["w1 w2 w3"] * 2)] == [ids, ids]
    chain = retriever | RunnableLambda(lambda documents: [document.id for document in documents])
    assert chain.invoke("w1 w2 w3") == ids


def test_options_of_the_retriever_and_of_a_call(source):
    retriever = AdaptiveRetriever(source=source, text_field="title", options={"filter": {"n": {"$lt": 3}}})
    documents = retriever.invoke("w1")
    assert sorted(document.page_content for document in documents) == ["title 0", "title 1", "title 2"]
    assert [document.metadata["n"] for document in retriever.invoke("w1", k=2, filter={"n": 7})] == [7]


def test_an_invalid_source_is_refused():
    with pytest.raises(TypeError, match="give a URL, a Client"):
        AdaptiveRetriever(source=7)
