import json
import sys

from service.demo import docstrings, plot
from service.demo.docstrings import Docstring, read_docstrings


def test_docstrings_of_the_standard_library_are_read_without_importing_it():
    before = set(sys.modules)
    found = read_docstrings(2000)
    assert len(found) == 2000
    assert set(sys.modules) == before
    by_name = {one.name: one for one in found}
    assert len(by_name) == 2000
    assert len({one.text for one in found}) == 2000
    assert by_name["argparse.ArgumentParser"].kind == "class"
    assert by_name["ast.literal_eval"].summary.startswith("Evaluate an expression node")


def test_summary_rest_and_split():
    one = Docstring("m.f", "function", "Do it\nwell.\n\nMore about it.\n\nAnd more.")
    assert (one.summary, one.rest) == ("Do it well.", "More about it.\n\nAnd more.")
    assert not Docstring("m.g", "function", "Only a summary line.").is_pair
    many = [Docstring("m", "module", f"Summary {i}.\n\nRest {i}.") for i in range(2000)]
    assert 0.07 < sum(one.held_out for one in many) / 2000 < 0.13
    assert many[3].held_out == Docstring("other", "class", "Another summary.\n\nRest 3.").held_out


def test_files_that_python_cannot_parse_are_passed_over(tmp_path):
    for name, content in (("a.py", b"def f(:"), ("b.py", b"\x00"), ("c.py", b"'" + b"x" * (2 << 20) + b"'")):
        (tmp_path / name).write_bytes(content)
        assert list(docstrings._docstrings("m", tmp_path / name)) == []
    (tmp_path / "d.py").write_text(
        '"""A documented module."""\ndef _hidden():\n    """A hidden function, documented."""\n'
    )
    assert [one.name for one in docstrings._docstrings("m", tmp_path / "d.py")] == ["m"]


def test_the_plot_is_a_picture(tmp_path):
    plot.plot_scores({8: 0.1, 16: 0.2}, {8: 0.3, 16: 0.4}, "title", tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_demonstration_runs_and_training_helps(mrl, tmp_path):
    status, out, err = mrl("demo", "--out", tmp_path, "--documents", "4000")
    assert status == 0, err
    assert "parse a json string into python objects" in out
    assert "shortlist" in out
    scores = json.loads((tmp_path / "ndcg.json").read_text())
    for size in ("32", "64"):
        assert scores["after"][size] > scores["before"][size] + 0.05
    assert (tmp_path / "ndcg.png").exists()
