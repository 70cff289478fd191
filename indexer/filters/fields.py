"""Fields of a document by name, and their values as filters compare them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from models.data.unicode import check_unicode
from models.errors import InvalidOptionError

Scalar = str | int | float | bytes
"""A value as it is compared, stored and ordered: text, a 64-bit integer or a double. null, false and true are bytes, so
that true does not equal 1; SQLite orders numbers before text before bytes."""

NULL, FALSE, TRUE = b"", b"\x00", b"\x01"
OTHER = b"\x02"
"""Stands for an object, or a list in a list, which exists but equals no value."""

_CHARACTER = re.compile(r"\\.|.", re.DOTALL)
_SPECIAL = re.compile(r"[\\.]")


@dataclass(frozen=True, slots=True)
class Field:
    """A payload field by the names on the path to it, outermost first; without names, the document's id."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        """The name that :func:`parse_field` reads as this field."""
        if not self.names:
            return "_id"
        name = ".".join(_SPECIAL.sub(r"\\\g<0>", part) for part in self.names)
        return f"\\{name}" if name == "_id" or name.startswith("$") else name

    def scalars(self, identifier: str, payload: dict[str, Any]) -> list[Scalar] | None:
        """Return the values of the field in a document; None if it is missing."""
        if not self.names:
            return [identifier]
        value: Any = payload
        for name in self.names:
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
        return [scalar(item) for item in value] if isinstance(value, list) else [scalar(value)]


ID = Field(())


def scalar(value: Any) -> Scalar:
    """Return a JSON value in the form it is compared in; :data:`OTHER` for a list or an object."""
    match value:
        case None:
            return NULL
        case bool():
            return TRUE if value else FALSE
        case int():
            return value if -(2**63) <= value < 2**63 else _double(value)
        case str() | float():
            return value
        case _:
            return OTHER


def parse_field(name: str, param: str = "filter") -> Field:
    r"""Parse a field name: dots reach into objects, a backslash escapes the next character.

    Args:
        name: a name such as ``lang``, ``meta.source``, ``a\.b`` or ``_id``.
        param: the option it was given in, for the error.

    Raises:
        InvalidOptionError: the name ends in a lone backslash, or is not valid Unicode.
    """
    if name == "_id":
        return ID
    check_unicode(name, f"field {name!r:.80}", param)
    names = [""]
    for part in _CHARACTER.findall(name):
        if part == "\\":
            raise InvalidOptionError(
                param,
                f"field {name!r:.80} ends in a backslash, which escapes the next character; write \\\\ for one",
            )
        if part == ".":
            names.append("")
        else:
            names[-1] += part[-1]
    return Field(tuple(names))


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
