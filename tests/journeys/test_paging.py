"""Pages of a search are slices of one list, over an index with many ties and with updates."""

import json

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, build_index
from models import load_encoder
from service import Settings
from service.http.server import running
from tests.conftest import make_texts, write_lines
from tests.service.applications import search


@pytest.fixture(scope="module")
def repeated(tmp_path_factory, model_directory):
    """Texts that come up to five times, some again as updates, and one as seven of the best."""
    root = tmp_path_factory.mktemp("repeated")
    texts = make_texts(120, seed=5)
    rng = np.random.default_rng(7)
    rows = [{"_id": f"{n}", "text": texts[i]} for n, i in enumerate(rng.integers(0, 120, 600))]
    encoder = load_encoder(str(model_directory))
    corpus = write_lines(root / "corpus.jsonl", rows)
    build_index(Corpus([corpus]), encoder, root / "index", BuildOptions(dims=16))
    with running(Settings(index=root / "index", port=0, auth="off", log_level="warning", watch_share=0)) as url:
        lines = "".join(json.dumps({"_id": f"new {n}", "text": texts[n % 40]}) + "\n" for n in range(80))
        with httpx.Client(base_url=url, trust_env=False) as client:
            client.post("/v1/documents", content=lines).raise_for_status()
            client.delete("/v1/documents/17").raise_for_status()
            yield client, texts


@pytest.mark.parametrize("options", [{}, {"dims": 8, "candidates": 300}, {"dims": 32}])
def test_pages_are_the_whole_list_and_ties_stay_in_place(repeated, options):
    client, texts = repeated
    for text in texts[:6]:
        whole = search(client, query=text, k=90, **options)["results"]
        scores = [hit["score"] for hit in whole]
        assert len(set(scores)) < 80, "there are ties"
        assert len({hit["id"] for hit in whole}) == 90
        assert scores == sorted(scores, reverse=True)
        paged = [
            hit
            for offset in range(0, 90, 9)
            for hit in search(client, query=text, k=9, offset=offset, **options)["results"]
        ]
        assert [hit["id"] for hit in paged] == [hit["id"] for hit in whole]
        assert search(client, query=text, k=90, **options)["results"] == whole


def test_several_queries_are_paged_like_each_alone(repeated):
    client, texts = repeated
    for offset in (0, 7, 33):
        body = {"k": 11, "offset": offset}
        alone = [search(client, query=text, **body)["results"] for text in texts[:9]]
        together = search(client, queries=texts[:9], **body)["results"]
        assert [[hit["id"] for hit in hits] for hits in together] == [[hit["id"] for hit in hits] for hits in alone]


def test_equal_documents_come_in_the_order_they_were_added(repeated):
    client, texts = repeated
    hits = search(client, query=texts[3], k=60)["results"]
    best = [hit["id"] for hit in hits if hit["score"] == hits[0]["score"]]
    assert len(best) > 3
    built = [identifier for identifier in best if not identifier.startswith("new")]
    added = [identifier for identifier in best if identifier.startswith("new")]
    assert built == sorted(built, key=int)
    assert added == sorted(added, key=lambda identifier: int(identifier[4:]))


@given(st.integers(1, 40), st.integers(0, 40), st.sampled_from([{}, {"n": {"$lt": 60}}]))
def test_an_offset_passes_over_results(url, k, offset, condition):
    body = {"query": "w1 w2 w3", "candidates": 100, "filter": condition}
    with httpx.Client(base_url=url, trust_env=False) as client:
        whole = search(client, **body, k=k + offset)["results"]
        assert search(client, **body, k=k, offset=offset)["results"] == whole[offset:]
