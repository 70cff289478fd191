import pytest

from models import Nesting, TrainingError
from models.directory.files import write_record
from models.directory.output import check_output, staged


def write_model(folder, text):
    (folder / "weights").write_text(text)
    (folder / "0_Dense").mkdir()
    (folder / "0_Dense" / "config").write_text(text)
    write_record(folder, Nesting((8, 32)))


def test_a_model_appears_at_the_end_and_replaces_the_previous_one(tmp_path):
    out = tmp_path / "runs" / "model"
    for text in ("first", "second"):
        with staged(str(out)) as folder:
            write_model(folder, text)
        assert (out / "weights").read_text() == (out / "0_Dense" / "config").read_text() == text
        assert sorted(path.name for path in out.iterdir()) == ["0_Dense", "mrl.json", "weights"]


def test_an_error_publishes_nothing_and_leaves_no_obstacle(tmp_path):
    def fail():
        with staged(tmp_path) as folder:
            write_model(folder, "half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["partial"]
    with staged(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        write_model(folder, "whole")
    assert (tmp_path / "mrl.json").exists()


def test_a_kill_while_publishing_leaves_no_record(tmp_path, monkeypatch):
    with staged(tmp_path) as folder:
        write_model(folder, "first")
    moved = []

    def replace(path, target):
        if len(moved) == 1:
            raise RuntimeError("killed")
        moved.append(path.name)

    monkeypatch.setattr("pathlib.Path.replace", replace)
    with pytest.raises(RuntimeError, match="killed"), staged(tmp_path) as folder:
        write_model(folder, "second")
    assert not (tmp_path / "mrl.json").exists(), "half a model does not look whole"


@pytest.mark.parametrize("restart", [False, True])
def test_other_files_are_never_touched(tmp_path, restart):
    check_output(tmp_path / "new", restart)
    (tmp_path / "empty").mkdir()
    check_output(str(tmp_path / "empty"), restart)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(TrainingError, match="is not empty and holds no model that was trained here"):
        check_output(tmp_path, restart)
    with pytest.raises(TrainingError, match=r"letter\.txt is a file: --out names a directory"):
        check_output(tmp_path / "letter.txt", restart)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_finished_model_is_replaced_only_on_request(tmp_path):
    out = tmp_path / "model"
    with staged(out) as folder:
        write_model(folder, "first")
    with pytest.raises(TrainingError, match="already holds a model: give another --out, or --restart to replace it"):
        check_output(out, restart=False)
    (out / "checkpoint").mkdir()
    check_output(out, restart=False)
    assert (out / "weights").exists(), "an interrupted run is resumed"
    check_output(out, restart=True)
    assert not out.exists()
