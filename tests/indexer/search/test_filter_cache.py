from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from indexer.filters import parse_filter
from indexer.kernels.rowset import RowSet
from indexer.search import filter_cache
from indexer.search.filter_cache import FilterCache

ROWS = 20


class Base:
    """Twenty documents with a field ``n`` equal to their row; counts how often a filter is evaluated."""

    def __init__(self):
        self.evaluated = 0

    def matching(self, condition):
        self.evaluated += 1
        return np.array([row for row in range(ROWS) if condition.matches(str(row), {"n": row})], np.int64)


class State:
    """A delta view: rows from 20 on are added, with ``n`` given; some rows are hidden."""

    def __init__(self, version, added=(), removed=(), hidden=()):
        self.version, self.first = version, ROWS
        self.vectors = added
        self.rows = np.array([ROWS + i for i in range(len(added)) if i not in removed], np.int64)
        self.hidden, self.fetched = hidden, 0

    def fetch(self, row):
        self.fetched += 1
        return SimpleNamespace(id=str(row), payload={"n": self.vectors[row - ROWS]})

    def visible(self, rows):
        return RowSet(np.setdiff1d(rows.rows, self.hidden), ROWS)


@pytest.fixture
def base():
    return Base()


def at_least(n):
    return parse_filter({"n": {"$gte": n}})


def test_a_filter_finds_rows_of_the_generation_and_of_the_updates(base):
    found = FilterCache(base, ROWS).select(at_least(17), State(1, added=[3, 30], hidden=[18]))
    assert (found.base.rows.tolist(), found.added.tolist()) == ([17, 19], [21])


def test_a_filter_that_matches_every_row_holds_no_set_of_rows(base):
    assert FilterCache(base, ROWS).select(at_least(0), State(1)).base is None


def test_the_generation_is_evaluated_once_and_each_added_row_once(base):
    cache = FilterCache(base, ROWS)
    first = State(1, added=[30])
    assert cache.select(at_least(17), first) is cache.select(at_least(17), first)
    second = State(2, added=[30, 31, 2], removed=[0])
    assert cache.select(at_least(17), second).added.tolist() == [21]
    assert (base.evaluated, first.fetched, second.fetched) == (1, 1, 2)


def test_an_older_state_still_gets_its_own_rows(base):
    cache = FilterCache(base, ROWS)
    cache.select(at_least(17), State(2, added=[30, 31]))
    assert cache.select(at_least(17), State(1, added=[30])).added.tolist() == [20]


@pytest.mark.parametrize(("name", "value"), [("_MOST_FILTERS", 2), ("_LEAST_ROWS_KEPT", 0)])
def test_filters_unused_for_longest_are_dropped_first(base, monkeypatch, name, value):
    monkeypatch.setattr(filter_cache, name, value)
    monkeypatch.setattr(filter_cache, "_ROWS_KEPT", 1)  # with 20 rows in all: two filters of 10 rows
    cache, state = FilterCache(base, ROWS), State(1)
    first, second, third = at_least(10), at_least(11), parse_filter({"n": {"$lt": 10}})
    for condition in (first, second, first, third):
        cache.select(condition, state)
    assert base.evaluated == 3
    cache.select(first, state)
    assert base.evaluated == 3
    cache.select(second, state)
    assert base.evaluated == 4


def test_a_single_filter_is_kept_however_many_rows_it_finds(base, monkeypatch):
    monkeypatch.setattr(filter_cache, "_LEAST_ROWS_KEPT", 0)
    monkeypatch.setattr(filter_cache, "_ROWS_KEPT", 0)
    cache = FilterCache(base, ROWS)
    for _ in range(3):
        cache.select(at_least(1), State(1))
    assert base.evaluated == 1


def test_many_threads_may_select(base):
    cache = FilterCache(base, ROWS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: cache.select(at_least(i % 5 + 10), State(i, added=[i])), range(40)))
    assert [len(selection.base) for selection in found] == [10 - i % 5 for i in range(40)]
