"""Which fields of their payload documents are answered with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

from indexer.filters.fields import parse_field

_ALL: Final[dict[str, Any]] = {}
"""Stands for all that is below a name."""


class Included:
    """Fields by name; dots lead into objects, as in filters."""

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
        """Read names such as ``title`` or ``meta.source``.

        Raises:
            InvalidOptionError: a name that is none.
        """
        fields = [parse_field(name, "include") for name in names]
        return cls([field.names for field in fields if field.names])  # every answer tells the id anyway

    def of(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the part of a payload that was asked for; what is not there is left out."""
        return _picked(payload, self._tree)


def _picked(value: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    picked = {}
    for name, below in tree.items():
        if name not in value:
            continue
        if below is _ALL:
            picked[name] = value[name]
        elif isinstance(value[name], dict) and (inner := _picked(value[name], below)):
            picked[name] = inner
    return picked
