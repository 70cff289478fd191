"""The examples of docs/clients.md and the client's writes, run against a service that requires a key."""

import re
import shutil

import httpx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, build_index
from models import load_encoder
from service import Settings
from service.client import AuthenticationError, Client, NotFoundError
from service.http.server import running
from tests.conftest import write_lines
from tests.journeys.pages import blocks, read_page

EXAMPLES = blocks(read_page("docs/clients.md"), "python")
KEY = "2hX9vQ7mK4sT1wZ8rB5nC3yL6pD0fG-j"
ROWS = [
    {"_id": "1", "title": "Tides", "text": "The moon pulls the sea.", "year": 1990},
    {"_id": "2", "title": "Bread", "text": "Yeast makes the dough rise.", "year": 2000},
    {"_id": "3", "title": "Orbits", "text": "Planets move around the sun.", "year": 2010},
]


@pytest.fixture(scope="module")
def page_index(tmp_path_factory):
    """The index of the page's examples. It must not be changed: serve a copy of it."""
    root = tmp_path_factory.mktemp("page")
    corpus = Corpus([write_lines(root / "corpus.jsonl", ROWS)])
    build_index(corpus, load_encoder("wordllama"), root / "my-index", BuildOptions(filterable=("year",)))
    return root / "my-index"


@pytest.fixture
def served(page_index, tmp_path):
    """The folder that holds this test's own copy of the index, and the URL of a service over it."""
    shutil.copytree(page_index, tmp_path / "my-index")
    settings = Settings(index=tmp_path / "my-index", port=0, api_key=KEY, log_level="warning", watch_share=0)
    with running(settings) as url:
        yield tmp_path, url


def test_the_page_has_its_examples():
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("program", EXAMPLES, ids=[f"example{number}" for number in range(len(EXAMPLES))])
def test_an_example_runs(served, program, monkeypatch, capsys):
    for library in re.findall(r"service\.integrations\.(\w+)", program):
        pytest.importorskip({"langchain": "langchain_core", "llama_index": "llama_index.core"}.get(library, library))
    root, url = served
    monkeypatch.chdir(root)
    monkeypatch.setenv("MRL_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    names = {"KEY": KEY}
    exec(compile(program.replace("http://localhost:8000", url), "docs/clients.md", "exec"), names)
    printed = capsys.readouterr().out
    assert printed
    if "ocean" in program:
        assert printed.startswith("1 0.2")
    if "retriever" in names:  # it keeps its connection open
        names["retriever"]._searcher.source.close()


@pytest.fixture
def writer(served):
    with httpx.Client(trust_env=False) as http, Client(served[1], api_key=KEY, http=http) as client:
        yield client


def test_a_key_is_needed(served):
    with httpx.Client(trust_env=False) as http:
        for key, code in ((None, "missing_key"), ("wrong", "invalid_key")):
            with pytest.raises(AuthenticationError) as caught:
                Client(served[1], api_key=key, http=http).search("moon")
            assert caught.value.code == code
            assert caught.value.request_id


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@settings(max_examples=40)
@given(identifier=TEXTS.filter(lambda text: text not in {row["_id"] for row in ROWS}))
@example("a/b")
@example("/")
@example("a//b/")
@example(".")
@example("..")
@example("a/../b")
@example("?x=1#y")
@example("%2F")
@example("a b+c")
@example("delete")
def test_a_document_of_any_id_is_written_read_and_deleted(writer, identifier):
    assert writer.upsert(identifier, {"text": "moon", "n": 1}).result == "added"
    assert writer.upsert(identifier, {"text": "moon", "n": 2}).result == "replaced"
    assert (writer.get(identifier).id, writer.get(identifier).payload["n"]) == (identifier, 2)
    writer.delete(identifier)
    with pytest.raises(NotFoundError):
        writer.get(identifier)


def test_given_vectors_are_stored_and_found(writer):
    vector = np.zeros(256)
    vector[200] = 3
    report = writer.upsert_many([{"_id": "own", "_vector": vector}, {"text": "no id"}])
    assert [(line.line, line.id, line.result) for line in report.lines] == [(1, "own", "added"), (2, None, "rejected")]
    assert "no field" in report.lines[1].reason
    (hit,) = writer.search(vector=vector, k=1).results
    assert (hit.id, hit.score) == ("own", pytest.approx(1, abs=1e-3))
    assert writer.delete_many(["own", "own", "gone"]).deleted == 1
