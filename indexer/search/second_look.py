"""The second look: queries that a structure finds hard are searched for again, with more effort.

A graph or cells find the neighbours of most queries with little effort; those that lie off the corpus' distribution
need many times as much, and one effort for all has to be that of the hard ones. Which are hard can be told by a first
search: its best candidate lies far from the query. So a first search is made with little effort, and where its best
score is under a threshold, a second one with more. Calibration tries thresholds and efforts (``indexer.calibration``).

Measured (docs/benchmarks.md): at equal recall the mean time of a query falls by a sixteenth to an eighth where queries
are unlike documents. The best score tells the hard ones as well as a regression on all scores of the first search does.
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
    """Search again for the queries that need it.

    Args:
        found: by the first search, shape (n, K).
        best: its best score of each query, shape (n,).
        look: decides which.
        search: finds K candidates of the queries with these numbers, by the second effort.

    Returns:
        the candidates, those of the second search where there was one; and the numbers of its queries.
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
