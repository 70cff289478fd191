import numpy as np
import pytest

from models import truncate
from models.evaluation.prefix_recall import prefix_recall


def unit(rows, seed, dimension=12):
    return truncate(np.random.default_rng(seed).normal(size=(rows, dimension)), dimension)


@pytest.mark.parametrize("candidates", [10, 25])
def test_it_equals_counting_by_hand(candidates):
    queries, documents = unit(30, 0), unit(200, 1)
    counts = {2: 0, 7: 0, 12: 0}
    for query in queries:
        best = set(np.argsort(-(documents @ query))[:10])
        for size in counts:
            scores = truncate(documents, size) @ truncate(query, size)
            counts[size] += len(best & set(np.argsort(-scores)[:candidates]))
    recall = prefix_recall(queries, documents, tuple(counts), candidates=candidates)
    assert recall == pytest.approx({size: count / 300 for size, count in counts.items()})
    assert recall[2] < recall[7] < recall[12] == 1


def test_rows_as_good_as_the_tenth_count():
    documents = np.repeat(unit(10, 2), 20, axis=0)
    assert prefix_recall(documents[:1], documents, (12,)) == {12: 1.0}
