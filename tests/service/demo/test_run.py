import json

import httpx
import pytest

from indexer import Index
from models import load_encoder
from models.progress import silent
from service.demo import run


def test_from_docstrings_to_an_index(tmp_path, small_demo):
    paths = run.Paths(tmp_path / "demo")
    docstrings = run.write_corpus(paths, 2000)
    assert len(docstrings) == small_demo
    rows = [json.loads(line) for line in paths.corpus.read_text().splitlines()]
    assert rows[0] == {"_id": "m.f0", "title": "m.f0", "text": docstrings[0].text, "kind": "function"}
    pairs = [json.loads(line) for line in paths.pairs.read_text().splitlines()]
    training = [docstring for docstring in docstrings if docstring.is_pair and not docstring.held_out]
    assert [pair["query"] for pair in pairs] == [docstring.summary for docstring in training]
    assert 0 < len(training) < small_demo, "some are held out"

    result = run.train_model(paths, docstrings, silent)
    assert result.steps > 0
    before, after, what = run.compare(paths, docstrings)
    assert before.keys() == after.keys() == set(load_encoder(str(paths.model)).nesting.sizes)
    assert what.endswith(f"each finding its text among {small_demo:,}")
    assert json.loads(paths.scores.read_text())["what"] == what
    assert paths.plot.exists()

    run.index_corpus(paths, silent)
    with Index.open(paths.index) as index:
        assert len(index) == small_demo


def test_a_search_over_http_is_timed(url):
    answer, milliseconds = run.search(url, "w1 w2", k=2)
    assert len(answer["results"]) == 2
    assert milliseconds > 0


def test_an_error_answer_is_raised(url):
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        run.search(url, "w1", k=-1)
