import pytest

from models import DataError
from models.data.pairs import Pair
from models.distillation.texts import read_texts
from tests.conftest import write_lines


def test_files_and_queries_have_equal_shares_of_every_prefix(tmp_path):
    first = write_lines(tmp_path / "a.jsonl", [{"text": f"a{i}", "q": f"q{i}"} for i in range(5)])
    second = write_lines(tmp_path / "b.jsonl", [{"text": f"b{i}"} for i in range(20)])
    read = read_texts([first, str(second)], query_field="q")
    assert sorted(text[0] for text in read.texts[:9]) == ["a"] * 3 + ["b"] * 3 + ["q"] * 3
    assert len(read.texts) == 30
    assert read.pairs[0] == Pair("q0", "a0")
    assert read.texts != read_texts([first, second], query_field="q", seed=1).texts


def test_rows_without_a_text_are_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "red cat"}\n{"text": ""}\nnot JSON\n{"body": "blue"}\n')
    read = read_texts([path], query_field="q")
    assert (read.texts, read.pairs, read.skipped) == (["red cat"], [], 3)
    with pytest.raises(DataError, match="none of 4 rows has a text in field 'title': name the field by --text-field"):
        read_texts([path], text_field="title")
