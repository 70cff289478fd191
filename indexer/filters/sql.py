"""Conditions as SQLite expressions over the columns ``id`` and ``payload`` of a row.

SQLite does not always read JSON as Python does: a double may differ in its last digits, text may end at a NUL, and a
name that JSON escapes cannot be looked up. If that could matter, the expression is NULL, which means undecided; AND, OR
and NOT of SQL propagate NULL with exactly that meaning. A missing field is never NULL here.

Values and names are bound as parameters; the text of an expression contains nothing from a client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from indexer.filters.fields import FALSE, NULL, TRUE, Field, Scalar

_JSON_TYPES = {NULL: "null", FALSE: "false", TRUE: "true"}
_WRITTEN_AS_IT_IS = re.compile(r'[^"\\\x00-\x1f]+')
_NUL = r"instr(payload, '\u0000')"
# Far above any error of SQLite, even for denormal doubles, and still rarely hit.
_RELATIVE_ERROR, _ABSOLUTE_ERROR = 1e-9, 1e-290


class Sql(NamedTuple):
    """An expression that is 1, 0 or NULL, and the parameters of its placeholders."""

    text: str
    parameters: tuple[Any, ...]


def joined(operator: str, parts: Sequence[Sql]) -> Sql:
    """Join one or more expressions with AND or OR."""
    text = f" {operator} ".join(part.text for part in parts)
    return Sql(f"({text})", tuple(value for part in parts for value in part.parameters))


def membership(field: Field, values: Collection[Scalar]) -> Sql:
    """Return a test for one of the values."""
    texts = [value for value in values if isinstance(value, str)]
    if not field.names:
        return _among("id", texts)
    numbers = [value for value in values if isinstance(value, int | float)]
    types = [_JSON_TYPES[value] for value in values if isinstance(value, bytes)]
    return _of_values(field, _text_among(texts), _number_among(numbers), _among("type", types), "null" in types)


def comparison(field: Field, order: str, value: str | int | float) -> Sql:
    """Return a test for a value of the same type that compares with ``value`` as given."""
    if not field.names:
        return Sql(f"(id {order} ?)", (value,))
    if isinstance(value, str):
        return _of_values(field, Sql(f"CASE WHEN {_NUL} THEN NULL ELSE atom {order} ? END", (value,)), _NO, _NO, False)
    test = f"CASE WHEN typeof(atom) = 'real' AND atom BETWEEN ? AND ? THEN NULL ELSE atom {order} ? END"
    return _of_values(field, _NO, Sql(test, (*_near([value]), value)), _NO, False)


def exists(field: Field) -> Sql:
    """Return a test for the presence of the field."""
    if not field.names:
        return Sql("1", ())
    return _unless_escaped(field, Sql("(json_type(payload, ?) IS NOT NULL)", (_path(field),)), False)


_NO = Sql("0", ())


def _of_values(field: Field, text: Sql, number: Sql, other: Sql, missing: bool) -> Sql:
    """Return a test of the field's value, or of each element if it is a list.

    Args:
        field: the field.
        text, number, other: tests of ``atom``, the value in SQL, and ``type``, its JSON type.
        missing: result for a missing field, which is tested like a null.
    """
    parts = (
        "CASE WHEN type = 'text' THEN",
        text,
        "WHEN type IN ('integer', 'real') THEN",
        number,
        "ELSE",
        other,
        "END",
    )
    test = _put_together(*parts)
    path = _path(field)
    # An undecided element counts as 2, so that the maximum is undecided even if another element is 1; asking Python
    # once too often does no harm.
    elements = _put_together(
        "(SELECT nullif(coalesce(max(coalesce(", test, ", 2)), 0), 2) FROM json_each(payload, ?))", Sql("", (path,))
    )
    value = "FROM (SELECT coalesce(json_type(payload, ?), 'null') AS type, json_extract(payload, ?) AS atom))"
    whole = ("(SELECT CASE WHEN type = 'array' THEN", elements, "ELSE", test, "END", Sql(value, (path, path)))
    return _unless_escaped(field, _put_together(*whole), missing)


def _text_among(values: Sequence[str]) -> Sql:
    """Return a test of text, undecided if a NUL may have cut the text or a value."""
    plain = [value for value in values if "\0" not in value]
    found = _put_together("(", _among("atom", plain), f"AND nullif({_NUL} = 0, 0))")
    return found if len(plain) == len(values) else joined("OR", [found, Sql(f"nullif({_NUL} > 0, 1)", ())])


def _number_among(values: Sequence[int | float]) -> Sql:
    if not values:
        return _NO
    near = Sql("CASE WHEN typeof(atom) = 'real' THEN nullif(atom BETWEEN ? AND ?, 1) ELSE", _near(values))
    return _put_together(near, _among("atom", values), "END")


def _among(column: str, values: Collection[Scalar]) -> Sql:
    return Sql(f"{column} IN ({','.join('?' * len(values))})", tuple(values))


def _near(values: Collection[int | float]) -> tuple[float, float]:
    """Return an interval outside which a double, as SQLite reads it, equals none of the values."""
    low, high = float(min(values)), float(max(values))
    return (
        low - abs(low) * _RELATIVE_ERROR - _ABSOLUTE_ERROR,
        high + abs(high) * _RELATIVE_ERROR + _ABSOLUTE_ERROR,
    )


def _unless_escaped(field: Field, found: Sql, missing: bool) -> Sql:
    """Return ``found`` if SQLite can look up the field's names."""
    escaped = next((name for name in field.names if not _WRITTEN_AS_IT_IS.fullmatch(name)), None)
    if escaped is None:
        return found
    # The payload was written by json.dumps, so it holds the name only if it contains what json.dumps writes for it.
    written = json.dumps(escaped, ensure_ascii=False)
    return Sql(f"CASE WHEN instr(payload, ?) THEN NULL ELSE {int(missing)} END", (written,))


def _path(field: Field) -> str:
    return "$" + "".join(f'."{name}"' for name in field.names)


def _put_together(*parts: str | Sql) -> Sql:
    sql = [Sql(part, ()) if isinstance(part, str) else part for part in parts]
    return Sql(" ".join(part.text for part in sql), tuple(value for part in sql for value in part.parameters))
