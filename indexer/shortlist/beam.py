"""Beam search in a graph: its effort is the width of the beam, the number of nodes kept in view (efSearch)."""

from __future__ import annotations


def beam_width(effort: int | None, candidates: int) -> int:
    """Return the beam width of a search: the effort, but at least the number of candidates."""
    return max(effort or candidates, candidates)


def beam_efforts(candidates: int) -> list[int | None]:
    """Return beam widths worth calibrating, from the narrowest that can hold the candidates to eight times that."""
    return list(dict.fromkeys(candidates * halves // 2 for halves in (2, 3, 4, 6, 8, 16)))
