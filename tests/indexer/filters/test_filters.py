import json
import math
import sqlite3
import threading
from contextlib import closing, suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from indexer.corpus import Place
from indexer.errors import BundleCorruptError
from indexer.filters import index, parse_field, parse_filter
from indexer.filters import matching as evaluate
from indexer.filters.parse import MOST_CONDITIONS, MOST_LEVELS, MOST_LISTED, MOST_VALUES
from indexer.storage.documents import Documents, DocumentWriter, StoredDocument
from models import InvalidOptionError

# Names that a path of SQLite, a pattern or a quoted string could trip over.
NAMES = ["a", "b", "ü", "a.b", 'q"', "it's", "x[0]", "[0]", "$gt", "$", "_id", "\\", "", "\n", "n\0", "#", "--", "?1"]
NEAR = [0, 1, 2**53, 2**63, 2**64, 10**30, 10**400]
NUMBERS = [-0.0, 0.1, 1.0, 1e16, 5e-324, 1e-300, 1.7976931348623157e308, 0.1 + 0.2, 4.35, 123456.78901234567]
numbers = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NEAR).flatmap(lambda n: st.integers(n - 1, n + 1) | st.integers(-n - 1, -n + 1)),
    st.sampled_from(NUMBERS).map(lambda x: math.nextafter(x, 0.0)),
    st.floats(allow_nan=False, allow_infinity=False),
)
texts = st.sampled_from(["", "a", "ab", "a\0", "a\0b", "\\u0000", "1", "true", "null", "é", "\U0001f600", "\x7f", '"'])
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.text(st.characters(codec="utf-8"), max_size=3))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=4,
)
payloads = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


def escaped(*names):
    return ".".join("".join(f"\\{c}" if c in "\\.$_" else c for c in name) for name in names)


fields = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(lambda names: escaped(*names))
finite = scalars.filter(lambda x: isinstance(x, bool) or not isinstance(x, int) or abs(x) < 10**308)
ordered = finite.filter(lambda x: x is not None and not isinstance(x, bool))
conditions = st.one_of(
    finite,
    st.dictionaries(st.sampled_from(["$eq", "$ne"]), finite, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ordered, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["$in", "$nin"]), st.lists(finite, max_size=4), min_size=1, max_size=2),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$not": st.fixed_dictionaries({"$gte": ordered})}),
)
ids = st.sampled_from(["0", "1", "10", "2", "x"])
id_conditions = ids | st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$lte"]), ids, min_size=1, max_size=2)
leaves = st.dictionaries(fields, conditions, max_size=2) | st.fixed_dictionaries({"_id": id_conditions})
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=5,
)


def write(path, rows, filterable=()):
    """A document file whose ids count the rows."""
    path.unlink(missing_ok=True)
    with DocumentWriter(path) as writer:
        writer._connection.execute("PRAGMA synchronous=OFF")  # thousands of files are written here
        writer.commit([StoredDocument(str(i), row) for i, row in enumerate(rows)], [], Place(0, len(rows)))
        writer.finish(filterable)
    return closing(Documents(path))


def naive(condition, rows):
    return [i for i, row in enumerate(rows) if condition.matches(str(i), row)]


def verdict(connection, condition, identifier, payload):
    text, parameters = condition.sql()
    written = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    query = f"SELECT {text} FROM (SELECT ? AS id, ? AS payload)"
    # The parameters of the inner query come last in the text.
    return connection.execute(query, (*parameters, identifier, written)).fetchone()[0]


HOLDS = [
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": True}, {"a": 1}, False),
    ({"a": True}, {"a": True}, True),
    ({"a": False}, {"a": {"$in": [0, "", None]}}, False),
    ({"a": "1"}, {"a": 1}, False),
    ({"a": -0.0}, {"a": 0}, True),
    ({"a": 2**53 + 1}, {"a": 2**53}, False),
    ({"a": 2**53 + 1}, {"a": float(2**53)}, False),
    ({"a": 2**64 + 1}, {"a": 2**64}, True),
    ({"a": 10**400}, {"a": {"$gt": 1.7e308}}, True),
    ({"a": 0.1 + 0.2}, {"a": 0.3}, False),
    ({"a": 0.1 + 0.2}, {"a": {"$gt": 0.3}}, True),
    ({"a": ["x", "y"]}, {"a": "y"}, True),
    ({"a": ["x", "y"]}, {"a": {"$ne": "y"}}, False),
    ({"a": ["x", 5]}, {"a": {"$gt": 4, "$lt": 6}}, True),
    ({"a": [0, 9]}, {"a": {"$gt": 4, "$lt": 6}}, True),
    ({"a": [["x"]]}, {"a": "x"}, False),
    ({"a": []}, {"a": None}, False),
    ({"a": []}, {"a": {"$exists": True}}, True),
    ({"a": [None]}, {"a": None}, True),
    ({"a": None}, {"a": None}, True),
    ({"a": None}, {"a": {"$exists": True}}, True),
    ({}, {"a": None}, True),
    ({}, {"a": {"$exists": True}}, False),
    ({}, {"a": {"$exists": False}}, True),
    ({}, {"a": {"$ne": 1}}, True),
    ({}, {"a": {"$ne": None}}, False),
    ({}, {"a": {"$nin": [1, 2]}}, True),
    ({}, {"a": {"$gt": 1}}, False),
    ({}, {"a": {"$not": {"$gt": 1}}}, True),
    ({}, {"$not": {"a": {"$gt": 1}}}, True),
    ({"a": None}, {"$not": {"a": {"$gt": 1}}}, True),
    ({"a": "x"}, {"a": {"$gt": 1}}, False),
    ({"a": 5}, {"a": {"$lt": "x"}}, False),
    ({"a": "é"}, {"a": {"$gt": "z"}}, True),
    ({"a": "\U0001f600"}, {"a": {"$gt": "\uffee"}}, True),
    ({"a": "x\0y"}, {"a": "x"}, False),
    ({"a": "x\0y"}, {"a": "x\0y"}, True),
    ({"a": "x\0y"}, {"a": {"$gt": "x"}}, True),
    ({"a": {"b": 1}}, {"a.b": 1}, True),
    ({"a": {"b": 1}}, {"a": {"$exists": True}}, True),
    ({"a": {"b": 1}}, {"a": {"$in": [1, None]}}, False),
    ({"a": "b"}, {"a.b": None}, True),
    ({"a": [{"b": 1}]}, {"a.b": 1}, False),
    ({"a": ["x"]}, {"a.0": "x"}, False),
    ({"a.b": 1}, {"a.b": 1}, False),
    ({"a.b": 1}, {"a\\.b": 1}, True),
    ({"$gt": 1}, {"\\$gt": 1}, True),
    ({"_id": 1}, {"\\_id": 1}, True),
    ({"\\": 1}, {"\\\\": 1}, True),
    ({"": 1}, {"": 1}, True),
    ({"a": 1}, {}, True),
    ({"a": 1}, {"$not": {}}, False),
    ({"a": 1}, {"a": {"$in": []}}, False),
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
    ({"a": 1, "b": 2}, {"$or": [{"a": 5}, {"b": {"$gte": 2}}]}, True),
    ({"a": 1, "b": 2}, {"$or": [{"a": 5}, {"b": 3}], "a": 1}, False),
    ({}, {"_id": "0"}, True),
    ({}, {"_id": {"$ne": "0"}}, False),
    ({}, {"_id": {"$gt": "/", "$lt": "00"}}, True),
    ({}, {"_id": {"$exists": True}}, True),
    ({}, {"_id.b": {"$exists": True}}, False),
]


@pytest.mark.parametrize(("payload", "condition", "holds"), HOLDS, ids=[f"{p}-{c}" for p, c, _ in HOLDS])
def test_what_holds(payload, condition, holds, tmp_path):
    parsed = parse_filter(condition)
    assert parsed.matches("0", payload) is holds
    for filterable in ([], ["a", "b", "a.b", "\\$gt", "\\_id", "a\\.b"]):
        with write(tmp_path / "d.sqlite", [payload], filterable) as documents:
            assert documents.matching(parsed).tolist() == [0] * holds


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("filters") / "d.sqlite"


@pytest.fixture(scope="module")
def memory():
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(payloads, min_size=1, max_size=8),
    st.lists(filters, min_size=1, max_size=8),
    st.lists(fields, max_size=6),
)
@example(
    [{"a": 5e-324}, {"a": 1.7976931348623157e308}, {"a": 10**400}], [{"a": {"$gt": 0}}, {"a": {"$gte": 1e308}}], []
)
def test_index_and_scan_find_what_python_finds(scratch, rows, wanted, filterable):
    parsed = [parse_filter(one) for one in wanted]
    with write(scratch, rows, filterable) as documents:
        for condition in parsed:
            assert documents.matching(condition).tolist() == naive(condition, rows)


@settings(max_examples=400, deadline=None)
@given(payloads, filters)
def test_sqlite_is_right_wherever_it_decides(memory, payload, wanted):
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


def test_equal_filters_find_the_same_and_true_is_not_1():
    same = [{"a": {"$in": [1, 2]}}, {"a": {"$in": [2.0, 1, 1]}}]
    assert len({parse_filter(one) for one in same}) == 1
    different = [{"a": 1}, {"a": True}, {"a": "1"}, {"a": None}, {"a": {"$ne": 1}}, {"a": {"$gte": 1}}]
    assert len({parse_filter(one) for one in different}) == len(different)


@given(st.lists(st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8")), min_size=1))
def test_a_field_is_read_from_its_own_name(names):
    field = parse_field(escaped(*names))
    assert field.names == tuple(names)
    assert parse_field(str(field)) == field
    assert not str(field).startswith("$")


def mixed_rows(count):
    generator = np.random.default_rng(3)
    return [
        {
            "n": int(generator.integers(0, 50)),
            "x": float(generator.normal()),
            "tags": [f"t{i}" for i in generator.integers(0, 9, 3)],
            **({"rare": f"r{i % 97}"} if i % 3 else {}),
            "deep": {"s": ["a", "b\0", "b"][i % 3], 'odd"': i % 2},
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("filterable", [[], ["n", "rare"], ["n", "x", "tags", "rare", "deep.s", 'deep.odd"', "_id"]])
def test_many_rows_over_several_parts_batches_and_chunks(tmp_path, monkeypatch, filterable):
    monkeypatch.setattr(index, "_PART", 64)
    monkeypatch.setattr(index, "_BATCH", 100)
    monkeypatch.setattr(evaluate, "_CHUNK", 128)
    rows = mixed_rows(1500)
    median = sorted(row["x"] for row in rows)[750]
    wanted = [
        {"n": 7},
        {"n": {"$gte": 10, "$lt": 40}},
        {"x": {"$gt": median}},
        {"x": {"$lte": median}},
        {"x": {"$in": [row["x"] for row in rows[::100]]}},
        {"tags": {"$in": ["t1", "t2"]}},
        {"rare": {"$exists": False}},
        {"rare": None},
        {"rare": {"$in": [f"r{i}" for i in range(0, 97, 2)]}},
        {"n": 7, "tags": "t1"},
        {"n": {"$ne": 7}, "deep.s": "b"},
        {"$or": [{"n": 1}, {"x": {"$gt": 2}}]},
        {"$not": {"$or": [{"rare": "r1"}, {"deep.s": {"$lt": "b"}}]}},
        {'deep.odd"': 1, "n": {"$lt": 25}},
        {"_id": {"$in": ["3", "1499", "none"]}},
        {"_id": {"$gt": "77"}, "n": {"$gt": 20}},
        {"absent": {"$gte": 0}},
        {},
    ]
    with write(tmp_path / "d.sqlite", rows, filterable) as documents:
        assert documents.filterable == [name for name in filterable if name != "_id"]
        for one in wanted:
            condition = parse_filter(one)
            found = documents.matching(condition)
            assert found.dtype == np.int64
            assert found.tolist() == naive(condition, rows), one


def test_declared_fields_are_not_read_from_the_payloads(tmp_path):
    with write(tmp_path / "d.sqlite", mixed_rows(50), ["n", "tags"]) as documents:
        plan = []
        documents._connection().set_trace_callback(plan.append)
        documents.matching(parse_filter({"$or": [{"n": {"$gt": 3}}, {"tags": {"$ne": "t1"}}], "_id": {"$ne": "4"}}))
        assert plan
        assert not any("payload" in statement for statement in plan)
        documents.matching(parse_filter({"n": {"$gt": 3}, "x": {"$gt": 0}}))
        assert any("payload" in statement for statement in plan)


def test_an_empty_file_and_a_field_that_no_document_has(tmp_path):
    with write(tmp_path / "d.sqlite", [], ["a"]) as documents:
        assert documents.matching(parse_filter({"a": None})).tolist() == []
        assert documents.matching(parse_filter({"b": None})).tolist() == []
    with write(tmp_path / "d.sqlite", [{"b": 1}], ["a"]) as documents:
        assert documents.matching(parse_filter({"a": {"$exists": False}})).tolist() == [0]


def test_threads_filter_at_once(tmp_path):
    rows = mixed_rows(400)
    condition = parse_filter({"n": {"$gt": 20}, "deep.s": "b"})
    found = []
    with write(tmp_path / "d.sqlite", rows, ["n"]) as documents:
        threads = [threading.Thread(target=lambda: found.append(documents.matching(condition))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.tolist() for one in found] == [naive(condition, rows)] * 8


def test_an_index_that_was_not_written_whole_is_written_anew(tmp_path, monkeypatch):
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        writer.commit([StoredDocument("0", {"a": 1})], [], Place(0, 1))
        with monkeypatch.context() as patch:
            patch.setattr(index, "_write_field", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                writer.finish(["a"])
        assert not writer.complete
        with pytest.raises(InvalidOptionError, match="ends in a backslash") as caught:
            writer.finish(["a", "b\\"])
        assert caught.value.param == "filterable"
        writer.finish(["a"])
        assert writer.complete
    with closing(Documents(tmp_path / "d.sqlite")) as documents:
        assert documents.matching(parse_filter({"a": 1})).tolist() == [0]


def test_a_damaged_file_is_told_as_such(tmp_path):
    (tmp_path / "junk.sqlite").write_bytes(b"junk" * 1000)
    with (
        closing(Documents(tmp_path / "junk.sqlite")) as junk,
        pytest.raises(BundleCorruptError, match="cannot filter documents"),
    ):
        junk.matching(parse_filter({"a": 1}))
