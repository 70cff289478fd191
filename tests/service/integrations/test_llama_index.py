import asyncio

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.schema import QueryBundle

from service.integrations.llama_index import AdaptiveRetriever


def test_nodes_have_text_fields_id_and_score(source, expected):
    nodes = AdaptiveRetriever(source, k=3).retrieve("w1 w2 w3")
    assert [node.node.node_id for node in nodes] == [hit.id for hit in expected]
    for node, hit in zip(nodes, expected, strict=True):
        assert node.node.get_content() == hit.payload["text"]
        assert node.node.metadata == {name: value for name, value in hit.payload.items() if name != "text"}
        assert node.score == pytest.approx(hit.score, abs=1e-5)


def test_it_runs_asynchronously(source, expected):
    nodes = asyncio.run(AdaptiveRetriever(source, k=3).aretrieve("w1 w2 w3"))
    assert [node.node.node_id for node in nodes] == [hit.id for hit in expected]


def test_the_embedding_of_a_query_bundle_is_the_query_vector(source, opened, expected):
    vector = opened.encoder.encode_queries(["w1 w2 w3"])[0].tolist()
    nodes = AdaptiveRetriever(source, k=3).retrieve(QueryBundle("something else", embedding=vector))
    assert [node.node.node_id for node in nodes] == [hit.id for hit in expected]


def test_options_apply_to_every_search(source):
    retriever = AdaptiveRetriever(source, text_field="title", options={"filter": {"n": {"$lt": 3}}})
    assert sorted(node.node.get_content() for node in retriever.retrieve("w1")) == ["title 0", "title 1", "title 2"]
