import json
import re

import pytest

from indexer import FunnelStage, HybridOptions, Promise, StopRule
from models import InvalidOptionError
from service.commands.search import _hybrid, parse_stages, parse_stop, promise_line, stage_line
from tests.conftest import write_lines
from tests.service.commands.mistakes import check_mistake


def test_an_explicit_plan_and_a_filter_are_followed(mrl, built):
    options = ["--dims", "8", "--candidates", "100", "--stages", "16:60,24:30", "-k", "5", "--json"]
    status, out, err = mrl("search", built, "w1 w2", *options, "--filter", '{"n": {"$in": [3, 4, 5]}}')
    assert status == 0, err
    found = json.loads(out)
    assert sorted(hit["payload"]["n"] for hit in found["results"]) == [3, 4, 5]
    assert found["plan"] == {
        "structure": "scan",
        "dims": 8,
        "candidates": 100,
        "rerank_dims": 32,
        "effort": None,
        "stages": [{"dims": 16, "keep": 60}, {"dims": 24, "keep": 30}, {"dims": 32, "keep": 5}],
        "stop": None,
        "second_look": None,
        "promise": None,
    }


def test_a_filter_is_a_stage(mrl, built):
    status, out, err = mrl("search", built, "w1 w2", "--filter", '{"n": {"$lt": 7}}', "-k", "3")
    assert (status, len(out.splitlines())) == (0, 3)
    assert re.search(r"filter +[\d.]+ ms +1,000 → 7", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--filter", "{n: 1}"], "--filter '{n: 1}' is not JSON: Expecting property name"),
        (["--filter", ""], "--filter '' is not JSON"),
        (["--filter", "[1]"], "the filter is .*: give an object such as"),
        (["--filter", '{"n": {"$near": 1}}'], "'\\$near' is not an operator on field"),
        (["--stages", "64"], "--stages '64': write dims:candidates, such as 64:100,128:50"),
        (["--stages", "16:x"], "--stages '16:x': write dims:candidates"),
        (["--stages", ""], "--stages '': write dims:candidates"),
        (["--stages", "8:50"], "dimensions must not fall"),
        (["--second-look", "0.4"], "--second-look '0.4': write score:effort, such as 0.4:800"),
        (["--second-look", "x:9"], "--second-look 'x:9': write score:effort"),
        (["--second-look", "inf:9"], "--second-look 'inf:9': write score:effort"),
        (["--second-look", "0.4:0"], "second look with effort 0: give at least 1"),
        (["--second-look", "nan:9"], "second look below nan: give a score"),
        (["--second-look", "0.4:30", "--effort", "30"], "second look with effort 30: give more than the first's, 30"),
        (["--recall", "0.9", "--dims", "8"], "recall together with dims: give either what is wanted"),
        (["--recall", "2"], "recall 2.0: give more than 0 and at most 1"),
        (["--milliseconds", "0"], "milliseconds 0.0: give more than 0"),
        (
            ["--recall", "0.9", "--milliseconds", "2", "--stages", "16:50"],
            "recall and milliseconds together with stages",
        ),
    ],
)
def test_wrong_options_are_one_clear_line(mrl, built, arguments, message):
    check_mistake(mrl("search", built, "w1", *arguments), 1, message)


def test_stages_are_parsed():
    assert parse_stages("64:100,128:50") == (FunnelStage(64, 100), FunnelStage(128, 50))
    with pytest.raises(InvalidOptionError, match="write dims:candidates") as caught:
        parse_stages("64:100:1")
    assert caught.value.param == "stages"


def test_a_stop_rule_is_parsed():
    assert (parse_stop("certified"), parse_stop("0.05")) == (StopRule(), StopRule(gap=0.05))
    with pytest.raises(InvalidOptionError, match="write certified, or a gap such"):
        parse_stop("soon")


def test_a_promise_says_whether_it_satisfies_the_request():
    line = "     calibrated: recall 0.961, at least 0.952, 0.120 ms per query"
    assert promise_line(Promise(0.961, 0.952, 0.12)) == line
    assert promise_line(Promise(0.961, 0.952, 0.12, met=False)) == (
        f"{line}; no calibrated plan satisfies the request, this is the closest"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["search", "/no/index", "text"], 1, "no index is published at /no/index: build one with mrl index build"),
        (["search", "{index}", "w1", "-k", "0"], 1, "k 0: give at least 1"),
        (["search", "{index}"], 2, "give either a text to search for or --image FILE"),
        (["search", "{index}", "w1", "--fusion", "rrf"], 2, "--fusion and --weight need --hybrid"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, arguments, status, message):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])
    filled = [argument.format(corpus=corpus, tmp=tmp_path, index=built) for argument in arguments]
    check_mistake(mrl(*filled), status, message)


def test_results_and_stages_are_printed(mrl, built, texts):
    status, out, err = mrl("search", built, texts[7], "-k", "3", "--recall", "0.9")
    assert status == 0
    assert len(out.splitlines()) == 3
    assert out.split()[2] == "7"
    assert "1,000 → 3" in err
    assert "calibrated: recall 1.000" in err


def test_hybrid_options():
    assert _hybrid(False, None, None) is None
    assert _hybrid(True, "weighted", 0.3) == HybridOptions(fusion="weighted", weight=0.3)


def test_stages_are_one_line_each():
    stage = {"name": "shortlist", "milliseconds": 0.5, "dims": 16, "candidates_in": 1000, "candidates_out": 50}
    stage |= {"structure": "hnsw", "read": None, "certified": None, "again": 0.25}
    assert " ".join(stage_line(stage).split()) == "shortlist 0.500 ms 16 dims 1,000 → 50 hnsw second look: 25%"
    stage |= {"name": "rerank", "structure": None, "read": 20.4, "certified": 1, "again": None}
    assert stage_line(stage).endswith("read 20, certified")
