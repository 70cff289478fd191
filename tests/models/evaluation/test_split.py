from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import DataError, InvalidOptionError
from models.data.labelled_texts import LabelledText
from models.evaluation.split import evaluation_parts


def test_a_split_is_kept_to():
    items = [LabelledText("a", "x", "train"), LabelledText("b", "x", "valid"), LabelledText("c", "y", "test")]
    assert evaluation_parts([*items, LabelledText("d", "y")]) == ([items[0], LabelledText("d", "y")], [items[2]])


texts = st.lists(st.builds(LabelledText, st.text("abcdef", min_size=1, max_size=3), st.sampled_from("xyz")), min_size=1)


@given(texts, st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_draw_is_by_label_without_repeats(items, share, seed):
    distinct = {}
    for item in items:
        distinct.setdefault(item.text, item)
    expected = {label: int(share * n) for label, n in Counter(item.label for item in distinct.values()).items()}
    if not sum(expected.values()):
        with pytest.raises(DataError, match="the test part is empty"):
            evaluation_parts(items, test_share=share, seed=seed)
        return
    train, test = evaluation_parts(items, test_share=share, seed=seed)
    assert Counter(item.label for item in test) == Counter(expected)
    assert sorted(item.text for item in train + test) == sorted(distinct)
    assert all(item == distinct[item.text] for item in train + test), "of repeats the first counts"
    assert evaluation_parts(items, test_share=share, seed=seed) == (train, test)


def test_the_seed_decides_and_a_limit_samples_both_parts():
    items = [LabelledText(f"t{i}", "xy"[i % 2]) for i in range(200)]
    assert evaluation_parts(items) != evaluation_parts(items, seed=1)
    train, test = evaluation_parts(items, limit=50)
    assert len(train) + len(test) == 50
    assert set(train) <= set(evaluation_parts(items)[0])
    assert 2 <= len(test) <= 20
    assert evaluation_parts(items, limit=1000) == evaluation_parts(items)


@pytest.mark.parametrize(
    ("option", "message"), [({"test_share": 1.0}, "test share 1.0"), ({"limit": 1}, "limit 1: give at least 2")]
)
def test_options_out_of_bounds_are_refused(option, message):
    with pytest.raises(InvalidOptionError, match=message):
        evaluation_parts([LabelledText("a", "x")], **option)


def test_a_file_of_training_rows_only_is_refused():
    with pytest.raises(DataError, match=r"test part is empty: .*\{'train': 2, 'valid': 1\}"):
        evaluation_parts([LabelledText("a", "x", "train")] * 2 + [LabelledText("b", "x", "valid")])
