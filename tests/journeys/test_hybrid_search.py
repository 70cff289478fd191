"""Hybrid search over HTTP and by the command."""

import json
import re

import httpx
import pytest

from indexer import BuildOptions, Corpus, HybridOptions, Index, LexicalOptions, SearchOptions, build_index
from models import load_encoder
from service import Settings
from service.http.server import running
from tests.conftest import write_lines

QUERY = "w1 w2 xq-7781"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, texts):
    rows = [{"_id": str(i), "title": f"title {i}", "text": text, "n": i} for i, text in enumerate(texts[:200])]
    rows.append({"_id": "part", "text": "w7 XQ-7781", "n": 200})
    return write_lines(tmp_path_factory.mktemp("hybrid") / "corpus.jsonl", rows)


@pytest.fixture(scope="module")
def lexical(corpus, model_directory):
    out = corpus.with_name("index")
    options = BuildOptions(dims=16, calibration=None, lexical=LexicalOptions())
    build_index(Corpus([corpus]), load_encoder(str(model_directory)), out, options)
    return out


@pytest.fixture(scope="module")
def hybrid_client(lexical):
    settings = Settings(index=lexical, port=0, log_level="warning", watch_share=0, max_candidates=500, auth="off")
    with running(settings) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (True, HybridOptions()),
        ({}, HybridOptions()),
        ({"fusion": "weighted"}, HybridOptions(fusion="weighted")),
        ({"fusion": "rrf", "weight": 0, "candidates": 30}, HybridOptions(fusion="rrf", weight=0, candidates=30)),
    ],
)
def test_an_answer_is_the_fusion_that_was_asked_for(hybrid_client, lexical, given, options):
    body = {"query": QUERY, "k": 5, "hybrid": given, "explain": True}
    answer = hybrid_client.post("/v1/search", json=body).raise_for_status().json()
    with Index.open(lexical) as index:
        (expected,) = index.search([QUERY], SearchOptions(k=5, hybrid=options)).hits
    assert [(hit["id"], hit["score"]) for hit in answer["results"]] == [
        (hit.id, pytest.approx(hit.score)) for hit in expected
    ]
    assert answer["results"] != hybrid_client.post("/v1/search", json={"query": QUERY, "k": 5}).json()["results"]
    assert [stage["name"] for stage in answer["stages"]][-3:] == ["lexical", "fuse", "documents"]


def test_off_is_the_search_by_vectors(hybrid_client):
    plain = hybrid_client.post("/v1/search", json={"query": QUERY}).json()["results"]
    for off in (False, None):
        assert hybrid_client.post("/v1/search", json={"query": QUERY, "hybrid": off}).json()["results"] == plain


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"vector": [1.0] * 32, "hybrid": True}, "hybrid", "search by text"),
        ({"query": "w1", "hybrid": {"weight": 2}}, "hybrid", "less than or equal to 1"),
        ({"query": "w1", "hybrid": {"candidates": 501}}, "hybrid", "hybrid candidates 501: .* at most 500"),
        ({"query": "w1", "hybrid": {"fusion": "sum"}}, "hybrid", "'rrf' or 'weighted'"),
        ({"query": "w1", "hybrid": "yes"}, "hybrid", "give true, false or an object"),
        ({"query": "w1", "hybrid": {"other": 1}}, "hybrid", "not permitted"),
    ],
)
def test_what_cannot_be_is_422(hybrid_client, body, param, message):
    response = hybrid_client.post("/v1/search", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"].split(".")[0]) == (422, param)
    assert re.search(message, error["message"]), error["message"]


def test_an_index_without_words_says_how_to_build_them(client):
    response = client.post("/v1/search", json={"query": "w1", "hybrid": True})
    assert response.status_code == 422
    assert "mrl index build --lexical" in response.json()["error"]["message"]


def test_the_index_reports_its_lexical_fields(hybrid_client):
    facts = hybrid_client.get("/v1/index").json()["lexical"]
    assert facts["fields"] == ["title", "text"]


def test_the_command_builds_searches_and_measures(mrl, corpus, model_directory, tmp_path):
    out = tmp_path / "index"
    base = ["index", "build", corpus, "--out", out, "--model", model_directory, "--no-calibrate"]
    status, _, err = mrl(*base, "--lexical-language", "english")
    assert (status, "need --lexical" in err) == (2, True)
    status, _, err = mrl(*base, "--lexical", "--lexical-language", "english")
    assert status == 0, err
    status, shown, _ = mrl("index", "inspect", out)
    assert (status, "english stems" in shown) == (0, True)
    status, found, err = mrl("search", out, QUERY, "-k", "2", "--hybrid", "--fusion", "weighted", "--weight", "0.4")
    assert (status, found.split()[2]) == (0, "part"), err
    assert "bm25" in err
    status, _, err = mrl("search", out, QUERY, "--weight", "0.4")
    assert (status, "--fusion and --weight need --hybrid" in err) == (2, True)

    write_lines(tmp_path / "queries.jsonl", [{"_id": "q", "text": "xq-7781"}])
    (tmp_path / "qrels.tsv").write_text("q\tpart\t1\n")
    judged = ["--queries", tmp_path / "queries.jsonl", "--qrels", tmp_path / "qrels.tsv"]
    status, table, err = mrl("evaluate", out, *judged, "--hybrid", "--json")
    assert status == 0, err
    scores = {score["search"]: score["metrics"]["ndcg@10"] for score in json.loads(table)}
    assert scores["lexical"] == scores["rrf"] == scores["weighted"] == 1
