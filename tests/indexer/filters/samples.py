"""Helpers of the tests of filters: strategies of payloads and filters, document files, and a naive evaluation."""

import json
import math
from contextlib import closing

import numpy as np
from hypothesis import strategies as st

from indexer.corpus import Place
from indexer.storage.documents import Documents, DocumentWriter, StoredDocument

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
