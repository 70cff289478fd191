import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.data.rows import BrokenRow, Row, estimate_rows, parse_json_object, read_rows
from models.errors import DataError

ROWS = [{"id": str(i), "text": f"text {i} ünïcode"} for i in range(300)]


def _jsonl() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def _delimited(delimiter: str) -> bytes:
    return (
        "\n".join(delimiter.join(cells) for cells in [("id", "text"), *(row.values() for row in ROWS)]) + "\n"
    ).encode()


def _write(path):
    match path.name.split(".", 1)[1]:
        case "jsonl":
            path.write_bytes(_jsonl())
        case "jsonl.gz":
            half = len(_jsonl().splitlines(keepends=True)[0]) * 100
            # two members, as `cat a.gz b.gz` leaves
            path.write_bytes(gzip.compress(_jsonl()[:half]) + gzip.compress(_jsonl()[half:]))
        case "jsonl.zst":
            path.write_bytes(pa.compress(_jsonl(), codec="zstd", asbytes=True))
        case "csv":
            path.write_bytes(b"\xef\xbb\xbf" + _delimited(","))
        case "tsv":
            path.write_bytes(_delimited("\t"))
        case "parquet":
            pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=70)
    return path


KINDS = ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "tsv", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skip", [0, 1, 69, 70, 299, 300, 1000])
def test_every_kind_gives_the_same_rows_and_skips_alike(tmp_path, kind, skip):
    rows = list(read_rows(_write(tmp_path / f"rows.{kind}"), skip=skip))
    assert [row.fields for row in rows] == ROWS[skip:]
    offset = 2 if kind in ("csv", "tsv") else 1  # the header is line 1
    assert [row.number for row in rows] == list(range(skip + offset, 300 + offset))


@pytest.mark.parametrize("kind", KINDS)
def test_estimate_rows_is_exact_for_a_file_read_whole(tmp_path, kind):
    header = kind in ("csv", "tsv")
    assert estimate_rows(_write(tmp_path / f"rows.{kind}")) == 300 + header


def test_estimate_rows_from_a_sample(tmp_path):
    line = json.dumps({"id": "x" * 100}) + "\n"
    for name, content in (("a.jsonl", line.encode()), ("a.jsonl.gz", None)):
        path = tmp_path / name
        path.write_bytes(content * 40_000 if content else gzip.compress(line.encode() * 40_000))
        assert estimate_rows(path) == pytest.approx(40_000, rel=0.25)


def test_broken_json_lines_are_reported_with_their_numbers(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n\nnot json\n{"a": NaN}\n[1]\n{"a": "\xff"}\n' + b"[" * 100_000 + b'\n{"a": 2}')
    rows = list(read_rows(path))
    assert [row.number for row in rows] == [1, 3, 4, 5, 6, 7, 8]
    assert [row.fields for row in rows if isinstance(row, Row)] == [{"a": 1}, {"a": 2}]
    reasons = [row.reason for row in rows if isinstance(row, BrokenRow)]
    for reason, part in zip(reasons, ("bad JSON", "NaN is not JSON", "got list", "not UTF-8", ""), strict=True):
        assert part in reason


def test_csv_rows_of_the_wrong_width_and_quoted_line_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"two\nlines"\n2\n\n3,c,d\n4,e\n')
    rows = list(read_rows(path))
    assert [(row.number, type(row)) for row in rows] == [(2, Row), (4, BrokenRow), (6, BrokenRow), (7, Row)]
    assert rows[0].fields == {"id": "1", "text": "two\nlines"}
    assert "1 cells, but the header has 2" in rows[1].reason


def test_an_empty_csv_has_no_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    assert list(read_rows(path)) == []
    assert estimate_rows(path) == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 not really", "cannot read"),
        ("a.jsonl.gz", b"\x1f\x8b broken", "cannot read"),
        ("a.xlsx", b"", "unknown kind of file; known are .jsonl"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_rows(tmp_path / name))


def test_a_truncated_gzip_file_is_an_error_not_a_shorter_file(tmp_path):
    path = _write(tmp_path / "rows.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot read"):
        list(read_rows(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no-such"):
        list(read_rows(tmp_path / "no-such.jsonl"))
    with pytest.raises(DataError, match="no-such"):
        estimate_rows(tmp_path / "no-such.jsonl")


def test_parse_json_object_refuses_other_values():
    with pytest.raises(ValueError, match="expected a JSON object, got list"):
        parse_json_object("[1]")
