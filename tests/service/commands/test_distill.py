import pyarrow as pa
import pyarrow.parquet as pq

from models import load_encoder
from models.data.pairs import Pair
from models.distillation.texts import read_texts
from tests.conftest import write_lines
from tests.models.distillation.test_distill import make_texts, teacher  # noqa: F401 - a fixture


def test_a_teacher_becomes_a_student_by_one_command(mrl, tmp_path, teacher):  # noqa: F811
    rows = [{"title": " ".join(text.split()[:2]), "text": text} for text in make_texts(200)]
    texts = write_lines(tmp_path / "texts.jsonl", [*rows, {"title": "no text"}])
    pq.write_table(pa.table({"text": make_texts(100, seed=8)}), tmp_path / "more.parquet")
    command = [
        "distill", str(teacher), str(texts), str(tmp_path / "more.parquet"), "--out", str(tmp_path / "student"),
        "--query-field", "title", "--sizes", "4,8,16", "--steps", "20", "--batch-size", "16", "--max-minutes", "1",
        "--min-count", "2",
    ]  # fmt: skip
    status, out, err = mrl(*command)
    assert status == 0, err
    assert "skipped 1 rows without a text in field 'text'" in err
    assert "neighbour agreement@10" in out
    assert "nDCG@10" in out
    assert "20 steps" in err
    assert load_encoder(str(tmp_path / "student")).nesting.sizes == (4, 8, 16)
    status, _, err = mrl(*command)
    assert status == 1
    assert "already holds a model" in err


def test_wrong_fields_are_named(mrl, tmp_path, teacher):  # noqa: F811
    texts = write_lines(tmp_path / "texts.jsonl", [{"body": "red cat"}])
    status, _, err = mrl("distill", str(teacher), str(texts), "--out", str(tmp_path / "student"))
    assert status == 1
    assert "none of 1 rows has a text in field 'text': name the field by --text-field" in err


def test_files_and_queries_share_any_beginning_of_the_texts(tmp_path):
    first = write_lines(tmp_path / "a.jsonl", [{"text": f"a{i}", "q": f"q{i}"} for i in range(5)])
    second = write_lines(tmp_path / "b.jsonl", [{"text": f"b{i}"} for i in range(20)])
    read = read_texts([first, second], text_field="text", query_field="q", seed=0)
    assert sorted(text[0] for text in read.texts[:9]) == ["a"] * 3 + ["b"] * 3 + ["q"] * 3
    assert len(read.texts) == 30
    assert read.pairs[0] == Pair("q0", "a0")
    assert read.texts != read_texts([first, second], text_field="text", query_field="q", seed=1).texts
