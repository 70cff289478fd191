import pytest

from indexer.calibration.exact_answers import QueriesWithAnswers
from indexer.calibration.queries import QuerySet
from tests.indexer.rankers import K, make_ranker, unit


@pytest.fixture(scope="session")
def ranker():
    """A ranker of 4,000 rows over a graph. Tests only read it."""
    return make_ranker()


@pytest.fixture(scope="session")
def answered(ranker):
    """100 queries with their exact answers, in a list of one kind."""
    return [QueriesWithAnswers.of(QuerySet.of("given", unit(100, 2)), ranker.vectors, K, 1)]
