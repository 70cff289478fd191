"""Selects the payload fields that a search returns (``include``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

from indexer import parse_field

_ALL: Final[dict[str, Any]] = {}
"""Marks a name whose whole value is selected."""


class Included:
    """A selection of fields; dots address fields of objects, as in filters."""

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        self._tree: dict[str, Any] = {}
        for names in paths:
            place = self._tree
            for name in names[:-1]:
                place = place.setdefault(name, {})
                if place is _ALL:
                    break
            else:
                place[names[-1]] = _ALL

    @classmethod
    def parse(cls, names: Sequence[str]) -> Self:
        """Parse names such as ``title`` or ``meta.source``.

        Raises:
            InvalidOptionError: a name is not a valid field name.
        """
        fields = [parse_field(name, "include") for name in names]
        return cls([field.names for field in fields if field.names])  # results always have the id

    def of(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the selected part of a payload; missing fields are left out."""
        return _select(payload, self._tree)


def _select(value: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    selected = {}
    for name, below in tree.items():
        if name not in value:
            continue
        if below is _ALL:
            selected[name] = value[name]
        elif isinstance(value[name], dict) and (inner := _select(value[name], below)):
            selected[name] = inner
    return selected
