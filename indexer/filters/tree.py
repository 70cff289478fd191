"""A filter as a tree, and what it says of a document: in Python, in SQL, and by the index of declared fields."""

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
"""True for the rows that are meant, shape (rows,)."""
Order = Literal[">", ">=", "<", "<="]

_ORDERS: dict[Order, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Interval(NamedTuple):
    """Values from ``low`` to ``high`` in the order of :data:`Scalar`; ``above`` and ``below`` say how they compare."""

    above: Literal[">", ">="]
    low: Scalar
    below: Literal["<", "<="]
    high: Scalar


class Bounds(NamedTuple):
    """What is known about each row: surely found, and possibly found; they differ where it is undecided."""

    sure: Mask
    possible: Mask


class RowIndex(Protocol):
    """Knows the rows in which a field has a value, for some fields."""

    @property
    def rows(self) -> int:
        """Rows there are."""

    def having(self, field: Field, intervals: Sequence[Interval]) -> Mask | None:
        """Return the rows where a value of the field lies in an interval; None where the field is not indexed."""


class Filter(ABC):
    """A condition on documents: each holds or does not. Equal filters find the same, so that answers can be kept."""

    __slots__ = ()

    @abstractmethod
    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Tell whether a document is found."""

    @abstractmethod
    def sql(self) -> scan.Sql:
        """Return an expression over a row of ``documents`` and its parameters.

        It is 1 where the row is found, 0 where it is not, and NULL where SQLite may read a value otherwise than Python
        does, so that :meth:`matches` must decide.
        """

    @abstractmethod
    def bounds(self, index: RowIndex) -> Bounds:
        """Return what the index knows about each row."""


@dataclass(frozen=True, slots=True)
class Membership(Filter):
    """The field has one of the values."""

    field: Field
    values: frozenset[Scalar]

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Tell whether a value of the field is among them; a missing field counts as null."""
        found = self.field.scalars(identifier, payload)
        return NULL in self.values if found is None else not self.values.isdisjoint(found)

    def sql(self) -> scan.Sql:
        """Compare each value in SQL."""
        return scan.membership(self.field, self.values)

    def bounds(self, index: RowIndex) -> Bounds:
        """Look the values up; the rows without the field are those of null too."""
        mask = index.having(self.field, [Interval(">=", value, "<=", value) for value in self.values])
        if mask is not None and NULL in self.values:
            there = index.having(self.field, [_EVERYTHING])
            mask = None if there is None else mask | ~there
        return _leaf_bounds(mask, index)


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """The field has a value of the same kind, number or text, that lies on that side of ``value``."""

    field: Field
    order: Order
    value: str | int | float

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Tell whether a value of the field lies there."""
        kinds = str if isinstance(self.value, str) else (int, float)
        compare = _ORDERS[self.order]
        found = self.field.scalars(identifier, payload) or ()
        return any(isinstance(value, kinds) and compare(value, self.value) for value in found)

    def sql(self) -> scan.Sql:
        """Compare in SQL."""
        return scan.comparison(self.field, self.order, self.value)

    def bounds(self, index: RowIndex) -> Bounds:
        """Look up the values from or up to the given one, within its kind."""
        # Text lies above every number and below every bytes.
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
        """Tell whether the field is there."""
        return self.field.scalars(identifier, payload) is not None

    def sql(self) -> scan.Sql:
        """Ask for its type in SQL."""
        return scan.exists(self.field)

    def bounds(self, index: RowIndex) -> Bounds:
        """Look up all of its values."""
        return _leaf_bounds(index.having(self.field, [_EVERYTHING]), index)


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All parts hold; without parts, always."""

    parts: tuple[Filter, ...]

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Tell whether every part holds."""
        return all(part.matches(identifier, payload) for part in self.parts)

    def sql(self) -> scan.Sql:
        """Join the parts by AND."""
        return scan.joined("AND", [part.sql() for part in self.parts]) if self.parts else scan.Sql("1", ())

    def bounds(self, index: RowIndex) -> Bounds:
        """Found for sure is what every part surely finds; possibly, what every part possibly does."""
        everything = np.ones(index.rows, bool)
        bounds = (part.bounds(index) for part in self.parts)
        return reduce(lambda a, b: Bounds(a.sure & b.sure, a.possible & b.possible), bounds, _known(everything))


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one part holds."""

    parts: tuple[Filter, ...]

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Tell whether a part holds."""
        return any(part.matches(identifier, payload) for part in self.parts)

    def sql(self) -> scan.Sql:
        """Join the parts by OR."""
        return scan.joined("OR", [part.sql() for part in self.parts])

    def bounds(self, index: RowIndex) -> Bounds:
        """Found for sure is what any part surely finds; possibly, what any part possibly does."""
        bounds = (part.bounds(index) for part in self.parts)
        return reduce(lambda a, b: Bounds(a.sure | b.sure, a.possible | b.possible), bounds)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not hold."""

    part: Filter

    def matches(self, identifier: str, payload: dict[str, Any]) -> bool:
        """Tell whether the part does not hold."""
        return not self.part.matches(identifier, payload)

    def sql(self) -> scan.Sql:
        """Deny the part in SQL."""
        text, parameters = self.part.sql()
        return scan.Sql(f"(NOT {text})", parameters)

    def bounds(self, index: RowIndex) -> Bounds:
        """Found for sure is what the part does not even possibly find."""
        sure, possible = self.part.bounds(index)
        return Bounds(~possible, ~sure)


_EVERYTHING = Interval(">=", float("-inf"), "<=", OTHER)


def _known(mask: Mask) -> Bounds:
    return Bounds(mask, mask)


def _leaf_bounds(mask: Mask | None, index: RowIndex) -> Bounds:
    if mask is None:
        return Bounds(np.zeros(index.rows, bool), np.ones(index.rows, bool))
    return _known(mask)
