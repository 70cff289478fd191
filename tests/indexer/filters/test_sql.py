import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.filters import parse_filter
from tests.indexer.filters.samples import filters, payloads, verdict


@settings(max_examples=400, deadline=None)
@given(payloads, filters)
def test_sqlite_is_right_if_it_decides(memory, payload, wanted):
    condition = parse_filter(wanted)
    assert verdict(memory, condition, "1", payload) in (None, condition.matches("1", payload))


@given(
    st.dictionaries(st.sampled_from("ab"), st.integers(-9, 9) | st.booleans() | st.none() | st.sampled_from("xyz")),
    st.sampled_from("ab"),
    st.one_of(
        st.integers(-9, 9) | st.booleans() | st.none() | st.sampled_from("xyz"),
        st.fixed_dictionaries({"$gt": st.integers(-9, 9) | st.sampled_from("xyz") | st.just(0.3)}),
        st.fixed_dictionaries({"$nin": st.lists(st.integers(-9, 9) | st.sampled_from("xyz"))}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
    ),
)
def test_sqlite_decides_plain_payloads_alone(memory, payload, name, wanted):
    condition = parse_filter({name: wanted})
    assert verdict(memory, condition, "1", payload) == condition.matches("1", payload)


@pytest.mark.parametrize("stored", [0.0, 0.25, 1e16, 5e-324, 1.7976931348623157e308])
def test_sqlite_asks_only_about_doubles_close_to_the_value(memory, stored):
    for value in (0.26, -3, 1e15):
        for order in ("$eq", "$gt", "$lte"):
            condition = parse_filter({"a": {order: value}})
            assert verdict(memory, condition, "1", {"a": stored}) == condition.matches("1", {"a": stored})
    assert verdict(memory, parse_filter({"a": {"$gt": stored}}), "1", {"a": stored}) is None
