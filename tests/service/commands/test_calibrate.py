import json
import re

import pytest

from indexer import CalibratedPlan, FunnelStage, SecondLook
from service.commands.calibrate import calibration_facts, print_plans, second_look_text, stages_text
from tests.conftest import write_lines
from tests.service.commands.mistakes import check_mistake


def plan(**changes):
    values = {"k": 10, "structure": "hnsw", "dims": 16, "candidates": 50, "effort": 40}
    values |= {"stages": (FunnelStage(dims=24, keep=20), FunnelStage(dims=32, keep=10)), "recall": 0.98}
    return CalibratedPlan(**{**values, "recall_low": 0.95, "milliseconds": 0.1234, **changes})


def test_calibrate_with_given_and_with_sampled_queries(mrl, root, tmp_path):
    queries = tmp_path / "queries.txt"
    queries.write_text("w1 w2\nw3\n")
    status, out, err = mrl("index", "calibrate", root, "--queries", queries, "--seconds", "1", "--k", "1,5")
    assert status == 0
    assert "with given queries" in err
    assert [row.split()[1] for row in out.splitlines() if "scan" in row] == ["1", "5"]
    status, out, _ = mrl("index", "calibrate", root, "--k", "7", "--confidence", "0.9", "--json")
    facts = json.loads(out)
    assert (facts["queries"], facts["confidence"], [plan["k"] for plan in facts["plans"]]) == ("sampled", 0.9, [7])


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["index", "calibrate", "/no/index"], 1, "no index is published at /no/index"),
        (["index", "calibrate", "{index}", "--k", "ten"], 1, "k 'ten': give integers separated by commas"),
        (["index", "calibrate", "{index}", "--queries", "/no/q.txt"], 1, "cannot read queries /no/q.txt"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, arguments, status, message):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])
    filled = [argument.format(corpus=corpus, tmp=tmp_path, index=built) for argument in arguments]
    check_mistake(mrl(*filled), status, message)


def test_plans_are_printed_as_a_table(capsys):
    look = SecondLook(below=0.4, effort=800)
    print_plans([plan(), plan(gap=0.05, second_look=look), plan(structure="scan", dims=32, effort=None)])
    header, *lines = [line for line in capsys.readouterr().out.splitlines() if re.search("[a-z]", line)]
    assert [cell.strip() for cell in header.split("┃")[1:4]] == ["k", "structure", "dims"]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    assert cells[0] == ["10", "hnsw", "16", "50", "40", "", "", "24:20 → 32:10", "0.9800", "0.9500", "0.123"]
    assert cells[1][5:7] == ["0.050", "0.400:800"]
    assert cells[2][3:8] == ["", "", "", "", ""], "an exact scan has no candidates"


def test_no_plans_print_nothing(capsys):
    print_plans([])
    assert capsys.readouterr().out == ""


def test_parts_of_a_plan_as_text():
    assert stages_text(plan()) == "24:20 → 32:10"
    assert second_look_text(plan()) == ""
    assert second_look_text(plan(second_look=SecondLook(below=0.4, effort=800))) == "0.400:800"
    assert calibration_facts(None) == "no; run mrl index calibrate to measure search plans"
