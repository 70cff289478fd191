"""Parsing filters from JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from indexer.filters.fields import ID, OTHER, Field, Scalar, parse_field, scalar
from indexer.filters.tree import And, Comparison, Exists, Filter, Membership, Not, Or, Order
from models.data.unicode import check_unicode
from models.errors import InvalidOptionError

MOST_LEVELS = 8
"""Limit on nested filters."""
MOST_CONDITIONS = 256
"""Limit on the conditions of a filter, including $and, $or and $not."""
MOST_LISTED = 1000
"""Limit on the values of one $in or $nin."""
MOST_VALUES = 10_000
"""Limit on the values of all $in and $nin of a filter; SQLite binds at most 32,766, and each value twice."""

_ORDERS: dict[str, Order] = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def parse_filter(value: Mapping[str, Any]) -> Filter:
    """Parse a filter; :mod:`indexer.filters` describes the syntax.

    Args:
        value: the filter as a parsed JSON object, such as ``{"year": {"$gte": 1990}}``.

    Raises:
        InvalidOptionError: the value is no filter, or exceeds a limit; the message names the part and what is allowed.
    """
    return _Parser().filter(value, 1, "the filter")


class _Parser:
    """Parses one filter and counts its conditions and values."""

    def __init__(self) -> None:
        self._conditions = 0
        self._values = 0

    def filter(self, value: Any, level: int, what: str) -> Filter:
        if not isinstance(value, Mapping):
            raise _error(f'{what} is {_shown(value)}: give an object such as {{"field": "value"}}')
        self._descend(level)
        return _all([self._entry(key, item, level) for key, item in value.items()])

    def condition(self, field: Field, value: Any, level: int) -> Filter:
        if not isinstance(value, Mapping):
            return self._equal(field, "$eq", value, level)
        if not value:
            raise _error(f"field {_name(field)} has an empty condition: give {_listed(_OPERATORS)}")
        return _all([self._operator(field, key, item, level) for key, item in value.items()])

    def _entry(self, key: Any, value: Any, level: int) -> Filter:
        if not isinstance(key, str):
            raise _error(f"a key of a filter is {_shown(key)}: give a field's name")
        if not key.startswith("$"):
            return self.condition(parse_field(key), value, level)
        if key not in _COMBINATORS:
            raise _error(
                f"{key!r:.80} is not an operator between filters: allowed are {_listed(_COMBINATORS)}; a field of "
                "that name is written with a backslash in front"
            )
        self._count()
        return _COMBINATORS[key](self, key, value, level)

    def _operator(self, field: Field, key: Any, value: Any, level: int) -> Filter:
        if key not in _OPERATORS:
            raise _error(
                f"{key!r:.80} is not an operator on field {_name(field)}: allowed are {_listed(_OPERATORS)}; a field "
                "in an object is named with a dot, as in 'outer.inner'"
            )
        return _OPERATORS[key](self, field, key, value, level)

    def _equal(self, field: Field, key: str, value: Any, _: int) -> Filter:
        self._count()
        return Membership(field, frozenset([self._scalar(field, key, value)]))

    def _in(self, field: Field, key: str, value: Any, _: int) -> Filter:
        self._count()
        if not _is_list(value):
            raise _error(f"{key} of field {_name(field)} is {_shown(value)}: give a list of values")
        self._values += len(value)
        if len(value) > MOST_LISTED or self._values > MOST_VALUES:
            raise _error(
                f"{key} of field {_name(field)} lists {len(value)} values, {self._values} in the filter so far: "
                f"allowed are {MOST_LISTED} in a list and {MOST_VALUES} in all"
            )
        return Membership(field, frozenset(self._scalar(field, key, item) for item in value))

    def _compare(self, field: Field, key: str, value: Any, _: int) -> Filter:
        self._count()
        number_or_text = self._scalar(field, key, value)
        if isinstance(number_or_text, bytes):
            raise _error(f"{key} of field {_name(field)} is {_shown(value)}: order is between numbers or strings")
        return Comparison(field, _ORDERS[key], number_or_text)

    def _exists(self, field: Field, key: str, value: Any, _: int) -> Filter:
        self._count()
        if not isinstance(value, bool):
            raise _error(f"{key} of field {_name(field)} is {_shown(value)}: give true or false")
        return Exists(field) if value else Not(Exists(field))

    def _negated(self, field: Field, _: str, value: Any, level: int) -> Filter:
        self._count()
        self._descend(level + 1)
        if not isinstance(value, Mapping):
            raise _error(
                f"$not of field {_name(field)} is {_shown(value)}: give an object of operators; $ne is unequal"
            )
        return Not(self.condition(field, value, level + 1))

    def several(self, key: str, value: Any, level: int) -> tuple[Filter, ...]:
        if not _is_list(value) or not value:
            raise _error(f"{key} is {_shown(value)}: give a list of one or more filters")
        return tuple(self.filter(part, level + 1, f"part {i} of {key}") for i, part in enumerate(value, start=1))

    def _scalar(self, field: Field, key: str, value: Any) -> Scalar:
        where = f"{key} of field {_name(field)}"
        found = scalar(value)
        if found == OTHER:
            hint = "; $in finds one of several values" if _is_list(value) else ""
            raise _error(f"{where} is {_shown(value)}: a value is a string, a number, true, false or null{hint}")
        if isinstance(found, str):
            check_unicode(found, where, "filter")
        if isinstance(found, float) and not math.isfinite(found):
            raise _error(f"{where} is {found}: give a number that a double can hold")
        if field == ID and not isinstance(found, str):
            raise _error(f"{where} is {_shown(value)}: ids are strings")
        return found

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise _error(f"the filter has more than {MOST_CONDITIONS} conditions, $and, $or and $not counted")

    def _descend(self, level: int) -> None:
        if level > MOST_LEVELS:
            raise _error(f"the filter is nested more than {MOST_LEVELS} levels deep")


_COMBINATORS: dict[str, Callable[[_Parser, str, Any, int], Filter]] = {
    "$and": lambda parser, key, value, level: And(parser.several(key, value, level)),
    "$or": lambda parser, key, value, level: Or(parser.several(key, value, level)),
    "$not": lambda parser, key, value, level: Not(parser.filter(value, level + 1, key)),
}
_OPERATORS: dict[str, Callable[[_Parser, Field, str, Any, int], Filter]] = {
    "$eq": _Parser._equal,
    "$ne": lambda *arguments: Not(_Parser._equal(*arguments)),
    **dict.fromkeys(_ORDERS, _Parser._compare),
    "$in": _Parser._in,
    "$nin": lambda *arguments: Not(_Parser._in(*arguments)),
    "$exists": _Parser._exists,
    "$not": _Parser._negated,
}


def _all(parts: Sequence[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _error(message: str) -> InvalidOptionError:
    return InvalidOptionError("filter", message)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _name(field: Field) -> str:
    return f"{str(field)!r:.80}"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names)


def _shown(value: Any) -> str:
    """Describe a value in a message; long values are cut, nested ones named by their type."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str() | float():
            return f"{value!r:.80}"
        case int():
            return str(value) if value.bit_length() < 64 else f"a number of {value.bit_length()} bits"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case _:
            return f"a {type(value).__name__}"
