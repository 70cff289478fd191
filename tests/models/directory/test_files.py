import json

import pytest

from models import ModelError, Nesting
from models.directory.files import checked_nesting, read_json, recorded_nesting, write_record

NESTING = Nesting((8, 32), (2.0, 1.0))


def test_a_record_holds_the_nesting_and_the_facts(tmp_path):
    write_record(str(tmp_path), NESTING, base="tiny", steps=3)
    record = read_json(tmp_path / "mrl.json")
    assert record == {"format": 1, "nesting": NESTING.to_json(), "base": "tiny", "steps": 3}
    assert recorded_nesting(tmp_path) == NESTING


def test_a_directory_without_a_record_has_no_nesting(tmp_path):
    assert recorded_nesting(str(tmp_path)) is None


@pytest.mark.parametrize("record", [{}, {"nesting": None}, {"nesting": {"sizes": [8]}}])
def test_a_record_without_a_nesting_is_broken(tmp_path, record):
    (tmp_path / "mrl.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match="does not hold a nesting"):
        recorded_nesting(tmp_path)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*none\.json"):
        read_json(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read .*broken\.json"):
        read_json(str(tmp_path / "broken.json"))


def test_the_first_nesting_given_is_checked():
    other = Nesting((16, 32))
    assert checked_nesting("tiny", 32, None, other, NESTING) == other
    assert checked_nesting("tiny", 32, None) == Nesting((8, 16, 32))
    with pytest.raises(ModelError, match=r"'tiny' has 64 dimensions, but its nesting \[16, 32\] ends at 32"):
        checked_nesting("tiny", 64, other)
