"""Shortlist structures, found by name."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from indexer.shortlist.base import Rows, Shortlist, ShortlistOptions
from indexer.shortlist.cagra import CagraShortlist
from indexer.shortlist.flat import FlatShortlist
from indexer.shortlist.hnsw import HnswShortlist
from indexer.shortlist.ivf import IvfShortlist
from indexer.shortlist.panorama import PanoramaShortlist
from indexer.shortlist.symqg import SymqgShortlist
from models.errors import InvalidOptionError

_STRUCTURES = (FlatShortlist, HnswShortlist, SymqgShortlist, IvfShortlist, PanoramaShortlist, CagraShortlist)
_KINDS: dict[str, type[Shortlist]] = {kind.kind: kind for kind in _STRUCTURES}

KINDS = tuple(_KINDS)

__all__ = ["KINDS", "Rows", "Shortlist", "ShortlistOptions", "require_available", "shortlist_options", "shortlist_type"]


def shortlist_type(kind: str) -> type[Shortlist]:
    """Return the structure of that name.

    Raises:
        InvalidOptionError: there is none.
    """
    if kind not in _KINDS:
        raise InvalidOptionError("shortlist", f"shortlist {kind!r}: known are {', '.join(KINDS)}")
    return _KINDS[kind]


def require_available(kind: str, build: bool = True) -> None:
    """Check that this machine can run a structure.

    Args:
        kind: its name.
        build: whether it is to be built here, or only loaded and searched.

    Raises:
        InvalidOptionError: there is none of that name, or it cannot run here; the message names what can.
    """
    if reason := shortlist_type(kind).unavailable(build):
        raise InvalidOptionError("shortlist", f"shortlist {kind!r} cannot run here: {reason}")


def shortlist_options(kind: str, values: dict[str, Any]) -> ShortlistOptions:
    """Validate a structure's build options.

    Raises:
        InvalidOptionError: an option the structure does not have, or a value outside its bounds.
    """
    structure = shortlist_type(kind)
    try:
        return structure.options_type(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        known = ", ".join(structure.options_type.model_fields) or "none"
        raise InvalidOptionError(
            "shortlist",
            f"option {name} of shortlist {kind!r}: {problem['msg']} (given {problem['input']!r}; options: {known})",
        ) from None
