"""A filter as a tree of conditions that are evaluated in Python, in SQL, or by the index of declared fields."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from indexer.filters import sql as scan
from indexer.filters.fields import NULL, OTHER, Field, Scalar

Mask = npt.NDArray[np.bool_]
"""True for the selected rows, shape (N,)."""
Order = Literal[">", ">=", "<", "<="]

_ORDERS: dict[Order, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Interval(NamedTuple):
    """Values between ``low`` and ``high`` in the order of :data:`Scalar`; ``above`` and ``below`` are the operators."""

    above: Literal[">", ">="]
    low: Scalar
    below: Literal["<", "<="]
    high: Scalar


class Bounds(NamedTuple):
    """Whether each row surely matches, and whether it possibly does; undecided if the two differ."""

    sure: Mask
    possible: Mask


class RowIndex(Protocol):
    """The rows with each value, for some fields."""

    @property
    def rows(self) -> int:
        """Number of rows N."""

    def having(self, field: Field, intervals: Sequence[Interval]) -> Mask | None:
        """Return the rows with a value of the field in an interval; None if the field is not indexed."""


class Filter(ABC):
    """A condition on documents. Equal filters match the same documents, so that their results can be cached."""

    __slots__ = ()

    @abstractmethod
    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Return whether a document matches."""

    @abstractmethod
    def sql(self) -> scan.Sql:
        """Return an SQL expression over a row of ``documents``.

        It is 1 if the row matches, 0 if it does not, and NULL if SQLite may read a value differently from Python, so
        that :meth:`matches` must decide.
        """

    @abstractmethod
    def bounds(self, index: RowIndex) -> Bounds:
        """Return what the index says about each row."""


@dataclass(frozen=True, slots=True)
class Membership(Filter):
    """The field has one of the values."""

    field: Field
    values: frozenset[Scalar]

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Return whether the field has one of the values; a missing field counts as null."""
        found = self.field.scalars(identifier, payload)
        return NULL in self.values if found is None else not self.values.isdisjoint(found)

    def sql(self) -> scan.Sql:
        """See :meth:`Filter.sql`."""
        return scan.membership(self.field, self.values)

    def bounds(self, index: RowIndex) -> Bounds:
        """Look up the values; null also matches the rows without the field."""
        mask = index.having(self.field, [Interval(">=", value, "<=", value) for value in self.values])
        if mask is not None and NULL in self.values:
            there = index.having(self.field, [_EVERYTHING])
            mask = None if there is None else mask | ~there
        return _leaf_bounds(mask, index)


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """The field has a value of the same type, number or text, that compares with ``value`` as given."""

    field: Field
    order: Order
    value: str | int | float

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """See :meth:`Filter.matches`."""
        kinds = str if isinstance(self.value, str) else (int, float)
        compare = _ORDERS[self.order]
        found = self.field.scalars(identifier, payload) or ()
        return any(isinstance(value, kinds) and compare(value, self.value) for value in found)

    def sql(self) -> scan.Sql:
        """See :meth:`Filter.sql`."""
        return scan.comparison(self.field, self.order, self.value)

    def bounds(self, index: RowIndex) -> Bounds:
        """Look up the range of values on that side, within the type."""
        # Text is ordered after all numbers and before all bytes.
        lowest, highest = ("", NULL) if isinstance(self.value, str) else (float("-inf"), "")
        match self.order:
            case ">" | ">=":
                interval = Interval(self.order, self.value, "<", highest)
            case _:
                interval = Interval(">=", lowest, self.order, self.value)
        return _leaf_bounds(index.having(self.field, [interval]), index)


@dataclass(frozen=True, slots=True)
class Exists(Filter):
    """The document has the field."""

    field: Field

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """See :meth:`Filter.matches`."""
        return self.field.scalars(identifier, payload) is not None

    def sql(self) -> scan.Sql:
        """See :meth:`Filter.sql`."""
        return scan.exists(self.field)

    def bounds(self, index: RowIndex) -> Bounds:
        """Look up all values of the field."""
        return _leaf_bounds(index.having(self.field, [_EVERYTHING]), index)


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All parts match; without parts, every document does."""

    parts: tuple[Filter, ...]

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Return whether every part matches."""
        return all(part.matches(identifier, payload) for part in self.parts)

    def sql(self) -> scan.Sql:
        """See :meth:`Filter.sql`."""
        return scan.joined("AND", [part.sql() for part in self.parts]) if self.parts else scan.Sql("1", ())

    def bounds(self, index: RowIndex) -> Bounds:
        """A row surely (possibly) matches if it surely (possibly) matches every part."""
        everything = np.ones(index.rows, bool)
        bounds = (part.bounds(index) for part in self.parts)
        return reduce(lambda a, b: Bounds(a.sure & b.sure, a.possible & b.possible), bounds, _known(everything))


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one part matches."""

    parts: tuple[Filter, ...]

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Return whether any part matches."""
        return any(part.matches(identifier, payload) for part in self.parts)

    def sql(self) -> scan.Sql:
        """See :meth:`Filter.sql`."""
        return scan.joined("OR", [part.sql() for part in self.parts])

    def bounds(self, index: RowIndex) -> Bounds:
        """A row surely (possibly) matches if it surely (possibly) matches any part."""
        bounds = (part.bounds(index) for part in self.parts)
        return reduce(lambda a, b: Bounds(a.sure | b.sure, a.possible | b.possible), bounds)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not match."""

    part: Filter

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Return whether the part does not match."""
        return not self.part.matches(identifier, payload)

    def sql(self) -> scan.Sql:
        """See :meth:`Filter.sql`."""
        text, parameters = self.part.sql()
        return scan.Sql(f"(NOT {text})", parameters)

    def bounds(self, index: RowIndex) -> Bounds:
        """A row surely matches if it does not even possibly match the part."""
        sure, possible = self.part.bounds(index)
        return Bounds(~possible, ~sure)


_EVERYTHING = Interval(">=", float("-inf"), "<=", OTHER)


def _known(mask: Mask) -> Bounds:
    return Bounds(mask, mask)


def _leaf_bounds(mask: Mask | None, index: RowIndex) -> Bounds:
    if mask is None:
        return Bounds(np.zeros(index.rows, bool), np.ones(index.rows, bool))
    return _known(mask)
