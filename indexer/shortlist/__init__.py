"""Shortlist structures by name.

To add a structure, write one module with a subclass of :class:`Shortlist` (``flat`` is the shortest example; a
structure that is one FAISS index extends ``faiss_file.FaissShortlist``) and add the class to ``_STRUCTURES`` below.
Manifests, builds, calibration and the command line then know it by its ``kind``, and ``tests/indexer/shortlists.py``
takes a line for each variant of its options that the common tests are to run over.
"""

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

_STRUCTURES: tuple[type[Shortlist[Any]], ...] = (
    FlatShortlist,
    HnswShortlist,
    SymqgShortlist,
    IvfShortlist,
    PanoramaShortlist,
    CagraShortlist,
)
_BY_KIND = {structure.kind: structure for structure in _STRUCTURES}

KINDS = tuple(_BY_KIND)

__all__ = ["KINDS", "Rows", "Shortlist", "ShortlistOptions", "require_available", "shortlist_options", "shortlist_type"]


def shortlist_type(kind: str) -> type[Shortlist[Any]]:
    """Return the structure of a name.

    Raises:
        InvalidOptionError: no structure has that name.
    """
    if kind not in _BY_KIND:
        raise InvalidOptionError("shortlist", f"shortlist {kind!r}: give one of {', '.join(KINDS)}")
    return _BY_KIND[kind]


def require_available(kind: str, build: bool = True) -> None:
    """Check that this machine can run a structure.

    Args:
        kind: the structure's name.
        build: whether it is to be built here, rather than only loaded and searched.

    Raises:
        InvalidOptionError: no structure has that name, or it cannot run here; the message names an alternative.
    """
    if reason := shortlist_type(kind).unavailable(build):
        raise InvalidOptionError("shortlist", f"shortlist {kind!r} cannot run here: {reason}")


def shortlist_options(kind: str, values: dict[str, Any]) -> ShortlistOptions:
    """Validate a structure's build options.

    Raises:
        InvalidOptionError: the structure has no such option, or a value is out of range.
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
