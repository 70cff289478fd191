import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.filters import parse_filter
from indexer.filters.parse import MOST_CONDITIONS, MOST_LEVELS, MOST_LISTED, MOST_VALUES
from models import InvalidOptionError
from tests.indexer.filters.samples import verdict

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[]), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["$and", "$or", "$not", "$in", "$gt", "$exists", "_id", "$x"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(json_values)
def test_any_json_is_a_filter_or_refused_and_any_filter_compiles(memory, value):
    with suppress(InvalidOptionError):
        condition = parse_filter(value)
        assert verdict(memory, condition, "1", {"a": 1}) in (None, condition.matches("1", {"a": 1}))


REFUSED = [
    ([], r'the filter is an empty list: give an object such as {"field": "value"}'),
    (None, "the filter is null: give an object"),
    ({"$nor": [{}]}, r"'$nor' is not an operator between filters: allowed are $and, $or, $not; a field of that name"),
    ({"$and": []}, "$and is an empty list: give a list of one or more filters"),
    ({"$or": {"a": 1}}, "$or is an object: give a list of one or more filters"),
    ({"$and": [{}, 7]}, "part 2 of $and is 7: give an object"),
    ({"$not": "x"}, "$not is 'x': give an object"),
    ({1: 2}, "a key of a filter is 1: give a field's name"),
    ({"a": {}}, "field 'a' has an empty condition: give $eq, $ne, $gt"),
    ({"a": {"$regex": "x"}}, "'$regex' is not an operator on field 'a': allowed are $eq, $ne, $gt, $gte, $lt, $lte, "),
    ({"a": {"b": 1}}, "'b' is not an operator on field 'a'"),
    ({"a": {"b": 1}}, "a field in an object is named with a dot, as in 'outer.inner'"),
    ({"a": ["x"]}, "$eq of field 'a' is a list: a value is a string, a number, true, false or null; $in finds one of"),
    ({"a": {"$in": [{}]}}, "$in of field 'a' is an object: a value is"),
    ({"a": {"$in": "x"}}, "$in of field 'a' is 'x': give a list of values"),
    ({"a": {"$gt": True}}, "$gt of field 'a' is true: order is between numbers or strings"),
    ({"a": {"$lt": None}}, "$lt of field 'a' is null: order is between numbers or strings"),
    ({"a": {"$exists": 1}}, "$exists of field 'a' is 1: give true or false"),
    ({"a": {"$not": 5}}, "$not of field 'a' is 5: give an object of operators; $ne is unequal"),
    ({"a": float("nan")}, "$eq of field 'a' is nan: give a number that a double can hold"),
    ({"a": 10**5000}, "$eq of field 'a' is inf: give a number that a double can hold"),
    ({"a": {"$exists": 10**5000}}, "$exists of field 'a' is a number of 16610 bits"),
    ({"a": b"x"}, "$eq of field 'a' is a bytes: a value is"),
    ({"a": "\ud800"}, "$eq of field 'a' is not valid Unicode: surrogates not allowed at character 0"),
    ({"x\udfff": 1}, r"field 'x\udfff' is not valid Unicode: surrogates not allowed at character 1"),
    ({"a\\": 1}, r"field 'a\\' ends in a backslash"),
    ({"_id": 7}, "$eq of field '_id' is 7: ids are strings"),
    ({"_id": None}, "$eq of field '_id' is null: ids are strings"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[m[:50] for _, m in REFUSED])
def test_what_is_refused_and_why(value, message):
    with pytest.raises(InvalidOptionError) as caught:
        parse_filter(value)
    assert caught.value.param == "filter"
    assert message in str(caught.value)


def nested(levels, inner):
    for _ in range(levels - 1):
        inner = {"$not": inner}
    return inner


def test_limits_are_exact_and_what_is_within_them_runs(memory):
    deepest = parse_filter(nested(MOST_LEVELS, {"a": {"$gt": 1, "$lt": 3}}))
    assert verdict(memory, deepest, "1", {"a": 2}) == deepest.matches("1", {"a": 2})
    with pytest.raises(InvalidOptionError, match="nested more than 8 levels deep"):
        parse_filter(nested(MOST_LEVELS + 1, {"a": 1}))
    with pytest.raises(InvalidOptionError, match="nested more than 8 levels deep"):
        parse_filter({"a": json.loads('{"$not":' * 300 + '{"$eq": 1}' + "}" * 300)})

    many = [{"a": {"$lt": i}} for i in range(MOST_CONDITIONS - 1)]
    most = parse_filter({"$or": many})
    assert verdict(memory, most, "1", {"a": MOST_CONDITIONS - 3}) == 1
    with pytest.raises(InvalidOptionError, match=r"more than 256 conditions"):
        parse_filter({"$or": [*many, {"a": 1}]})

    listed = {"$in": [*range(MOST_LISTED // 2), *map(str, range(MOST_LISTED // 2))]}
    largest = {"$or": [{"ab"[i % 2]: listed} for i in range(MOST_VALUES // MOST_LISTED)]}
    assert verdict(memory, parse_filter(largest), "1", {"b": ["x", 499]}) == 1
    with pytest.raises(InvalidOptionError, match="lists 1001 values, 1001 in the filter so far: allowed are 1000 in a"):
        parse_filter({"a": {"$in": [0] * 1001}})
    with pytest.raises(InvalidOptionError, match=r"lists 1 values, 10001 in the filter so far"):
        parse_filter({"$and": [largest, {"a": {"$nin": [1]}}]})
