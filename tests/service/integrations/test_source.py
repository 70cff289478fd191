import asyncio
import importlib
import sys

import httpx
import pytest

from models.errors import OptionalDependencyError
from service.client import AsyncClient, Client
from service.integrations.source import Searcher, importing


def test_a_text_and_its_vector_have_the_same_results_in_a_service_and_in_an_index(source, opened, expected):
    vector = opened.encoder.encode_queries(["w1 w2 w3"])[0].tolist()
    searcher = Searcher(source)
    for query in ("w1 w2 w3", vector):
        found = searcher.search(query, {"k": 3})
        assert [(hit.id, hit.payload) for hit in found] == [(hit.id, hit.payload) for hit in expected]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-5)
        assert [hit.id for hit in asyncio.run(searcher.search_async(query, {"k": 3}))] == [hit.id for hit in expected]


def test_a_service_and_an_index_take_the_same_options(source):
    searcher = Searcher(source)
    found = searcher.search("w1", {"k": 5, "filter": {"n": {"$lt": 3}}, "recall": 0.9})
    assert sorted(hit.payload["n"] for hit in found) == [0, 1, 2]
    for wrong, message in (({"k": 0}, "k"), ({"filter": {"n": {"$near": 1}}}, "near"), ({"size": 3}, "size")):
        with pytest.raises(Exception, match=message):
            searcher.search("w1", wrong)


def test_a_url_and_an_asynchronous_client_are_sources(url):
    searcher = Searcher(url, api_key="secret")
    assert isinstance(searcher.source, Client)
    searcher.source.close()

    async def run():
        async with httpx.AsyncClient(trust_env=False) as http:
            searcher = Searcher(AsyncClient(url, http=http))
            with pytest.raises(TypeError, match="cannot search synchronously"):
                searcher.search("w1", {})
            return await searcher.search_async("w1", {"k": 2})

    assert len(asyncio.run(run())) == 2


def test_anything_else_is_refused():
    with pytest.raises(TypeError, match="source 7: give a URL, a Client, an AsyncClient or an opened Index"):
        Searcher(7)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("llama_index", "llama_index", "llama-index"),
        ("haystack", "haystack", "haystack"),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch, name, module, extra):
    for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, f"service.integrations.{name}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionalDependencyError) as caught:
        importlib.import_module(f"service.integrations.{name}")
    assert caught.value.install == f"pip install 'adaptive-retrieval[{extra}]'"
    assert f"service.integrations.{name} needs the package" in str(caught.value)


def test_other_import_errors_are_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), importing("haystack", package="h", extra="h"):
        importlib.import_module("no_such_module")
