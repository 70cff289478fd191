import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import load_encoder
from tests.conftest import write_lines
from tests.models.distillation.teachers import make_teacher, make_texts


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return make_teacher(tmp_path_factory.mktemp("teacher"))


def test_a_teacher_becomes_a_student_by_one_command(mrl, tmp_path, teacher):
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


def test_wrong_fields_are_named(mrl, tmp_path, teacher):
    texts = write_lines(tmp_path / "texts.jsonl", [{"body": "red cat"}])
    status, _, err = mrl("distill", str(teacher), str(texts), "--out", str(tmp_path / "student"))
    assert status == 1
    assert "none of 1 rows has a text in field 'text': name the field by --text-field" in err
