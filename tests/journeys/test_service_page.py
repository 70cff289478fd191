"""The requests of docs/service.md, answered by a service over the quickstart's index."""

import json
import re

import numpy as np
import pytest

from indexer import BuildOptions, Corpus, build_index
from models import load_encoder
from tests.conftest import write_lines
from tests.journeys.pages import Shell, blocks, read_page, shell_lines

PAGE = read_page("docs/service.md")
(SHOWN,) = map(json.loads, blocks(PAGE, "json"))


@pytest.fixture
def responses(mrl, tmp_path, monkeypatch):
    """What the page's ``curl`` commands get, by command."""
    monkeypatch.chdir(tmp_path)
    rows = [json.loads(row) for row in re.findall(r"'(\{\"_id\".*?\})'", read_page("README.md"))]
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", rows[:3])])
    build_index(corpus, load_encoder("wordllama"), tmp_path / "my-index", BuildOptions(filterable=("year",)))
    lines = shell_lines(PAGE)
    return {line: result for line, result in zip(lines, Shell(mrl).run(lines), strict=True) if "curl" in line}


def timeless(plan):
    """A plan without what differs from machine to machine."""
    return {**plan, "promise": {**plan["promise"], "milliseconds": None}}


def test_every_request_is_answered_as_shown(responses):
    assert len(responses) == 8
    for line, response in responses.items():
        assert response.status_code == (201 if "PUT" in line else 200), line
    answer = next(response.json() for line, response in responses.items() if "explain" in line)
    assert answer.keys() == SHOWN.keys()
    for result, shown in zip(answer["results"], SHOWN["results"], strict=True):
        assert (result["id"], result["payload"]) == (shown["id"], shown["payload"])
        np.testing.assert_allclose(result["score"], shown["score"], atol=1e-4)
    assert timeless(answer["plan"]) == timeless(SHOWN["plan"])
    assert [stage.keys() for stage in answer["stages"]] == [stage.keys() for stage in SHOWN["stages"]]
    assert [stage["name"] for stage in answer["stages"]] == [stage["name"] for stage in SHOWN["stages"]]
