"""The second look: queries that are hard for the structure are searched again with more effort.

A graph or inverted file finds the neighbours of most queries with little effort, but out-of-distribution queries need
many times as much, and a single effort for all has to suit the hard ones. A first search identifies them: its best
candidate is far from the query. So each query is searched with little effort first, and if its best score is below a
threshold, again with more. Calibration chooses threshold and efforts (``indexer.calibration.second_looks``).

Measured (docs/benchmarks.md): at equal recall, mean latency falls by 1/16 to 1/8 if queries are unlike documents. The
best score identifies hard queries as well as a regression on all scores of the first search.
"""

from __future__ import annotations

from collections.abc import Callable

from indexer.kernels.rows import Rows
from indexer.plan import SecondLook
from indexer.shortlist.base import Candidates
from models.nesting import Vectors


def look_again(
    found: Candidates, best: Vectors, look: SecondLook, search: Callable[[Rows], Candidates]
) -> tuple[Candidates, Rows]:
    """Search the hard queries again.

    Args:
        found: candidates of the first search, shape (n, K).
        best: best score of each query in the first search, shape (n,).
        look: threshold and effort.
        search: given query numbers, finds K candidates of each with the second effort.

    Returns:
        the candidates, replaced for queries searched again, and the numbers of those queries.
    """
    hard = (best < look.below).nonzero()[0]
    if not len(hard):
        return found, hard
    again = search(hard)
    if len(hard) == len(best):
        return again, hard
    scores, rows = found.scores.copy(), found.rows.copy()
    scores[hard], rows[hard] = again
    return Candidates(scores, rows), hard
