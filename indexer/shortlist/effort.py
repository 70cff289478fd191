"""How hard a structure looks, where that is the width of a beam: the nodes of a graph kept in sight on the way."""

from __future__ import annotations

from models.errors import InvalidOptionError


def require_effort(effort: int | None) -> None:
    """Check an effort.

    Raises:
        InvalidOptionError: it is under 1.
    """
    if effort is not None and effort < 1:
        raise InvalidOptionError("effort", f"effort {effort}: give at least 1")


def beam_width(effort: int | None, candidates: int) -> int:
    """Return how wide a beam to search with: as wide as wanted, and wide enough for the candidates.

    Raises:
        InvalidOptionError: the effort is under 1.
    """
    require_effort(effort)
    return max(effort or candidates, candidates)


def beam_efforts(candidates: int) -> list[int | None]:
    """Return widths worth trying, from the narrowest that can hold the candidates to eight times that."""
    return list(dict.fromkeys(candidates * halves // 2 for halves in (2, 3, 4, 6, 8, 16)))
