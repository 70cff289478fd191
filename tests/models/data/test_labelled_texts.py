import pytest

from models import DataError, InvalidOptionError
from models.data.labelled_texts import LabelledText, is_labelled, read_labelled, split_labelled
from tests.conftest import write_lines


def test_rows_without_text_label_or_known_split_are_rejected(tmp_path):
    rows = [
        {"text": " a ", "label": "x", "split": "train"},
        {"text": "b", "label": 3, "split": "dev"},
        {"text": "", "label": "x"},
        {"text": "c"},
        {"text": "d", "label": "y", "split": "spare"},
        {"text": "e", "label": "y"},
        {"text": "\ud800", "label": "y"},
        {"text": "f", "label": True},
    ]
    path = write_lines(tmp_path / "rows.jsonl", rows)
    path.write_text(path.read_text() + "{broken\n")
    read = read_labelled([path])
    assert read.items == [LabelledText("a", "x", "train"), LabelledText("b", "3", "valid"), LabelledText("e", "y")]
    assert [line for _, line, _ in read.rejected] == [3, 4, 5, 7, 8, 9]
    assert "split 'spare': known are train" in read.rejected[2][2]
    with pytest.raises(DataError, match=r"no labelled text in 9 rows.*--text-field"):
        read_labelled([path], text_field="body")
    assert is_labelled(path, label_field="label", query_field="query")
    assert not is_labelled(path, label_field="label", query_field="text")
    assert not is_labelled(path, label_field="class", query_field="query")


def test_given_splits_are_kept_and_known_texts_do_not_train():
    items = [LabelledText(f"t{i}", f"l{i % 2}", "train") for i in range(30)]
    items += [items[0], LabelledText("t1", "l1", "valid"), LabelledText("t2", "l0", "test")]
    parts = split_labelled(items, 0.5, 0)
    assert [item.text for item in parts["valid"]] == ["t1"]
    assert [item.text for item in parts["test"]] == ["t2"]
    assert sorted(item.text for item in parts["train"]) == sorted({f"t{i}" for i in range(30)} - {"t1", "t2"})


def test_without_splits_a_seeded_sample_is_held_out():
    items = [LabelledText(f"t{i}", f"l{i % 2}") for i in range(100)]
    parts = split_labelled(items, 0.2, 3)
    assert (len(parts["train"]), len(parts["valid"]), parts["test"]) == (80, 20, [])
    assert parts == split_labelled(items, 0.2, 3)
    assert parts != split_labelled(items, 0.2, 4)


@pytest.mark.parametrize(
    ("items", "share", "message"),
    [
        ([LabelledText("a", "x")] * 30, 0.1, "0 different texts with 0 labels"),
        ([LabelledText(f"t{i}", "x") for i in range(30)], 0.1, "27 different texts with 1 labels"),
        ([], 0.9, "validation share 0.9"),
    ],
)
def test_a_split_without_enough_to_train_on_is_refused(items, share, message):
    with pytest.raises(InvalidOptionError, match=message):
        split_labelled(items, share, 0)
