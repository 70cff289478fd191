import sys

from service.demo import docstrings
from service.demo.docstrings import Docstring, read_docstrings


def test_docstrings_are_read_without_importing_anything():
    before = set(sys.modules)
    found = read_docstrings(2000)
    assert len(found) == 2000
    assert set(sys.modules) == before
    by_name = {docstring.name: docstring for docstring in found}
    assert len(by_name) == 2000
    assert len({docstring.text for docstring in found}) == 2000
    assert by_name["argparse.ArgumentParser"].kind == "class"
    assert by_name["ast.literal_eval"].summary.startswith("Evaluate an expression node")


def test_summary_rest_and_split():
    docstring = Docstring("m.f", "function", "Do it\nwell.\n\nMore about it.\n\nAnd more.")
    assert (docstring.summary, docstring.rest) == ("Do it well.", "More about it.\n\nAnd more.")
    assert not Docstring("m.g", "function", "Only a summary line.").is_pair
    many = [Docstring("m", "module", f"Summary {i}.\n\nRest {i}.") for i in range(2000)]
    assert 0.07 < sum(docstring.held_out for docstring in many) / 2000 < 0.13
    assert many[3].held_out == Docstring("other", "class", "Another summary.\n\nRest 3.").held_out


def test_files_that_python_cannot_parse_are_skipped(tmp_path):
    for name, content in (("a.py", b"def f(:"), ("b.py", b"\x00"), ("c.py", b"'" + b"x" * (2 << 20) + b"'")):
        (tmp_path / name).write_bytes(content)
        assert list(docstrings._docstrings("m", tmp_path / name)) == []
    (tmp_path / "d.py").write_text(
        '"""A documented module."""\ndef _hidden():\n    """A hidden function, documented."""\n'
    )
    assert [docstring.name for docstring in docstrings._docstrings("m", tmp_path / "d.py")] == ["m"]
