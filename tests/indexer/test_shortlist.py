import numpy as np
import pytest

from indexer.errors import BundleCorruptError
from indexer.shortlist import KINDS, shortlist_options, shortlist_type
from models import InvalidOptionError, truncate

DIMS = 16


def prefixes(count, seed=0):
    return truncate(np.random.default_rng(seed).normal(size=(count, DIMS)), DIMS)


def blocks(rows, size=300):
    for start in range(0, len(rows), size):
        yield start, rows[start : start + size]


def build(kind, rows, **values):
    return shortlist_type(kind).build(blocks(rows), DIMS, shortlist_options(kind, values))


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_finds_most_of_the_nearest(kind):
    rows, queries = prefixes(2000), prefixes(50, seed=1)
    found = build(kind, rows).search(queries, 20)
    exact = np.argsort(-(queries @ rows.T), axis=1)[:, :20]
    recall = np.mean([len(set(a) & set(b)) / 20 for a, b in zip(found, exact, strict=True)])
    assert recall == 1.0 if kind == "flat" else recall > 0.9


def test_returns_nearest_first(kind):
    rows, queries = prefixes(500), prefixes(5, seed=1)
    found = build(kind, rows).search(queries, 10)
    scores = np.take_along_axis(queries @ rows.T, found, axis=1)
    assert (np.diff(scores, axis=1) <= 1e-6).all()


def test_fills_up_with_minus_one_where_there_are_fewer_rows(kind):
    found = build(kind, prefixes(3)).search(prefixes(2, seed=1), 5)
    assert found.shape == (2, 5)
    assert found.dtype == np.int64
    assert (np.sort(found, axis=1) == [[-1, -1, 0, 1, 2]] * 2).all()


@pytest.mark.parametrize(("rows", "queries"), [(0, 2), (5, 0), (0, 0)])
def test_empty_structures_and_empty_batches(kind, rows, queries):
    found = build(kind, prefixes(rows)).search(prefixes(queries), 4)
    assert found.shape == (queries, 4)
    assert (found[:, rows:] == -1).all()


def test_save_and_load_give_the_same_structure(kind, tmp_path):
    rows, queries = prefixes(400), prefixes(20, seed=1)
    structure = build(kind, rows)
    path = tmp_path / structure.file_name
    structure.save(path)
    loaded = shortlist_type(kind).load(path)
    np.testing.assert_array_equal(loaded.search(queries, 10), structure.search(queries, 10))
    assert loaded.describe() == structure.describe()


@pytest.mark.parametrize("content", [b"", b"not an index", None])
def test_a_broken_file_is_refused_by_name(kind, tmp_path, content):
    structure = build(kind, prefixes(50))
    path = tmp_path / structure.file_name
    structure.save(path)
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(BundleCorruptError, match=f"cannot read .*{structure.file_name}"):
        shortlist_type(kind).load(path)


def test_work_counts_the_prefixes_looked_at(kind):
    structure = build(kind, prefixes(3000))
    work = structure.work(prefixes(10, seed=1), 10)
    assert work == 3000 if kind == "flat" else 10 < work < 3000


def test_memory_counts_at_least_the_prefixes(kind):
    assert build(kind, prefixes(100)).memory_bytes >= 100 * DIMS * 4


def test_more_effort_finds_more_with_hnsw():
    structure = build("hnsw", prefixes(3000), links=4, build_effort=8)
    queries = prefixes(50, seed=1)
    exact = np.argsort(-(queries @ prefixes(3000).T), axis=1)[:, :10]

    def recall(effort):
        found = structure.search(queries, 10, effort)
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)])

    assert recall(10) < recall(100) < recall(1000)
    assert structure.work(queries, 10, 10) < structure.work(queries, 10, 1000)


def test_an_effort_below_one_is_refused():
    with pytest.raises(InvalidOptionError, match="effort 0: give at least 1"):
        build("hnsw", prefixes(10)).search(prefixes(1), 2, 0)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("nosuch", {}, "shortlist 'nosuch': known are flat, hnsw"),
        ("flat", {"links": 8}, "option links of shortlist 'flat': .* options: none"),
        ("hnsw", {"links": 1}, r"option links of shortlist 'hnsw': .*\(given 1; options: links, build_effort\)"),
        ("hnsw", {"links": "many"}, r"option links .*\(given 'many'"),
    ],
)
def test_unknown_structures_and_options_are_refused(kind, values, message):
    with pytest.raises(InvalidOptionError, match=message):
        shortlist_options(kind, values)
