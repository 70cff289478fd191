import pytest

from models import DataError
from models.data.items import read_items, text_of
from models.errors import RejectedRowError
from tests.conftest import write_lines


def parse(fields):
    if not isinstance(fields.get("n"), int):
        raise RejectedRowError(f"no number in {sorted(fields)}")
    return fields["n"]


def test_rows_that_give_no_item_are_listed_with_file_and_line(tmp_path):
    first = write_lines(tmp_path / "a.jsonl", [{"n": 1}, {"m": 2}])
    second = write_lines(tmp_path / "b.jsonl", [{"n": 3}])
    second.write_text("{broken\n" + second.read_text())
    items, rejected = read_items([first, str(second)], parse, kind="number", options="--number")
    assert items == [1, 3]
    assert rejected[0] == (str(first), 2, "no number in ['m']")
    assert rejected[1][:2] == (str(second), 1)
    assert rejected[1][2].startswith("bad JSON")


def test_files_without_an_item_name_the_first_problem_and_the_options(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"m": 2}, {"k": 2}])
    message = r"no number in 2 rows; the first problem: .*a.jsonl line 1: no number in \['m'\]\. Name the fields by --n"
    with pytest.raises(DataError, match=message):
        read_items([path], parse, kind="number", options="--number")
    with pytest.raises(DataError, match=r"no number in 0 rows\. Name"):
        read_items([], parse, kind="number", options="--number")


def test_a_bug_in_the_parser_is_not_a_rejected_row(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"n": 1}])
    with pytest.raises(ValueError, match="bug"):
        read_items([path], lambda fields: int("bug"), kind="number", options="--number")


@pytest.mark.parametrize(
    ("value", "text"), [(" a b ", "a b"), ("", ""), (None, ""), (4, ""), (["a"], ""), ("\ud800", "")]
)
def test_the_text_of_a_field(value, text):
    assert text_of(value) == text
