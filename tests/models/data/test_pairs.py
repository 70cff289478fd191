import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.pairs import Pair, pairs_hash, read_pairs, split_pairs
from models.errors import DataError, InvalidOptionError
from tests.conftest import write_lines


def test_read_pairs_passes_over_what_is_no_pair(tmp_path):
    rows = [
        {"query": " a ", "document": "A"},
        {"query": "", "document": "B"},
        {"query": "c"},
        {"query": 4, "document": "D"},
        {"query": "\ud800", "document": "E"},
    ]
    path = write_lines(tmp_path / "pairs.jsonl", rows)
    read = read_pairs([path])
    assert read.pairs == [Pair("a", "A")]
    assert [(line, reason.split(",")[0]) for _, line, reason in read.rejected] == [
        (2, "no text in field 'query'"),
        (3, "no text in field 'document'"),
        (4, "no text in field 'query'"),
        (5, "no text in field 'query'"),
    ]


def test_read_pairs_of_other_fields(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("name,about\nfoo,a thing\n")
    assert read_pairs([path], query_field="name", document_field="about").pairs == [Pair("foo", "a thing")]


def test_no_pair_at_all_says_how_to_name_the_fields(tmp_path):
    path = write_lines(tmp_path / "pairs.jsonl", [{"name": "foo", "about": "a thing"}])
    with pytest.raises(DataError, match=r"row has \['about', 'name'\]. Name the fields by --query-field"):
        read_pairs([path])


pairs_strategy = st.lists(
    st.builds(Pair, st.integers(0, 30).map(str), st.integers(0, 30).map(str)), min_size=25, max_size=80, unique=True
)


@given(pairs_strategy, st.floats(0.01, 0.5), st.integers(0, 5))
def test_a_split_is_disjoint_repeatable_and_never_trains_on_a_validation_document(pairs, share, seed):
    training, validation = split_pairs(pairs + pairs[:3], share, seed)
    assert (training, validation) == split_pairs(pairs, share, seed)
    assert len(validation) >= 10
    assert not {pair.document for pair in training} & {pair.document for pair in validation}
    assert set(training) | set(validation) <= set(pairs)
    lost = set(pairs) - set(training) - set(validation)
    assert all(pair.document in {held.document for held in validation} for pair in lost)


@pytest.mark.parametrize(("count", "share", "message"), [(19, 0.1, "19 different pairs"), (40, 0.6, "share 0.6")])
def test_splits_that_cannot_be(count, share, message):
    with pytest.raises(InvalidOptionError, match=message):
        split_pairs([Pair(str(i), str(i)) for i in range(count)], share, 0)


def test_pairs_hash_depends_on_text_order_and_boundaries():
    pairs = [Pair("ab", "c"), Pair("d", "e")]
    others = ([Pair("a", "bc"), Pair("d", "e")], pairs[::-1], pairs[:1])
    assert len({pairs_hash(pairs), *(pairs_hash(other) for other in others)}) == 4


def test_hard_negatives_are_a_text_or_a_list_of_texts(tmp_path):
    rows = [
        {"query": "a", "document": "b", "negative": " c "},
        {"query": "d", "document": "e", "negatives": ["f", "", "g", "f"]},
        {"query": "h", "document": "i", "negatives": None},
    ]
    path = write_lines(tmp_path / "pairs.jsonl", rows)
    assert read_pairs([path]).pairs == [Pair("a", "b", ("c",)), Pair("d", "e", ("f", "g")), Pair("h", "i")]


def test_a_held_out_document_is_no_hard_negative_in_training():
    pairs = [Pair(f"q{i}", f"d{i}", tuple(f"d{j}" for j in range(40) if j != i)) for i in range(40)]
    training, validation = split_pairs(pairs, 0.25, 0)
    held_out = {pair.document for pair in validation}
    assert len(held_out) == 10
    for pair in training:
        assert len(pair.negatives) == 29
        assert not held_out & set(pair.negatives)
    assert pairs_hash([pairs[0]]) != pairs_hash([Pair("q0", "d0")])
