import sys

import numpy as np
import pytest

from indexer.errors import BundleCorruptError, OutOfMemoryError
from indexer.shortlist import require_available, symqg
from models import InvalidOptionError
from models.errors import OptionalDependencyError
from tests.indexer.shortlists import make, no_memory, prefixes, same


class _Islands:
    """A graph in which every other query reaches only some rows."""

    def __init__(self, graph, reached):
        self._graph, self._reached, self._odd = graph, reached, {}
        self.num_points, self.dim = graph.num_points, graph.dim

    def search(self, queries, k, ef):
        for query in queries:
            self._odd.setdefault(query.tobytes(), len(self._odd) % 2 == 1)
        if k > self._reached and not all(self._odd[query.tobytes()] for query in queries):
            raise RuntimeError("QuantizedGraph search could not produce k results")
        return self._graph.search(queries, k, ef)


def test_a_query_of_another_size_is_refused():
    structure = make("symqg", prefixes(200, dims=80))
    with pytest.raises(ValueError, match="query dimension does not match"):
        structure.search(prefixes(1, dims=72), 5)


def test_a_query_that_reaches_too_few_rows_gets_those(built):
    structure = symqg.SymqgShortlist(_Islands(built("symqg")._graph, reached=70))
    queries = prefixes(4, seed=1)
    found = structure.search(queries, 200, 300)
    whole = built("symqg").search(queries, 200, 300)
    for i in range(4):
        count = (found.rows[i] >= 0).sum()
        assert count == [50, 200, 50, 200][i]
        np.testing.assert_array_equal(found.rows[i, :count], whole.rows[i, :count])
        assert np.isneginf(found.scores[i, count:]).all()


def test_a_query_that_reaches_no_row_gets_none(built):
    found = symqg.SymqgShortlist(_Islands(built("symqg")._graph, reached=0)).search(prefixes(1, seed=1), 5)
    assert (found.rows == -1).all()
    assert np.isneginf(found.scores).all()


@pytest.mark.parametrize(("bits", "head"), [(0, 46), (8, 314)])
@pytest.mark.parametrize("length", [64, 128, 256])
def test_a_file_with_invalid_links_is_refused(tmp_path, bits, head, length):
    path = tmp_path / "shortlist.symqg"
    structure = make("symqg", prefixes(200, dims=64), bits=bits)
    structure.save(path)
    content = bytearray(path.read_bytes())
    end = head + structure.memory_bytes  # the head comes first, links end a row
    content[end - length : end] = b"\xff" * length
    path.write_bytes(content)
    with pytest.raises(BundleCorruptError, match="neighbor"):
        symqg.SymqgShortlist.load(path)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rabitqlib", None)
    with pytest.raises(OptionalDependencyError, match="shortlist 'symqg' needs the package rabitqlib"):
        make("symqg", prefixes(100))
    with pytest.raises(InvalidOptionError, match=r"'symqg' cannot run here: .*`pip install rabitqlib`, or use 'hnsw'"):
        require_available("symqg", build=False)


def test_missing_processor_instructions_are_named(monkeypatch):
    monkeypatch.setattr(symqg.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(symqg.llvm, "get_host_cpu_features", lambda: {"avx2": False, "fma": True})
    with pytest.raises(InvalidOptionError, match="'symqg' cannot run here: this processor lacks AVX2; use 'hnsw'"):
        require_available("symqg")
    monkeypatch.setattr(symqg.platform, "machine", lambda: "arm64")
    assert symqg.SymqgShortlist.unavailable() is None


@pytest.mark.parametrize(
    ("bits", "exact_scores", "close_scores"), [(0, True, True), (4, False, False), (8, False, True)]
)
def test_the_precision_of_scores_follows_the_bits_of_a_row(bits, exact_scores, close_scores):
    structure = make("symqg", prefixes(200), bits=bits)
    assert (structure.exact_scores, structure.close_scores) == (exact_scores, close_scores)


@pytest.mark.parametrize("count", [20, 200])
def test_a_file_is_read_back_and_a_damaged_one_refused(tmp_path, count):
    path = tmp_path / "shortlist.symqg"
    structure, queries = make("symqg", prefixes(count)), prefixes(3, seed=1)
    structure.save(path)
    loaded = symqg.SymqgShortlist.load(path)
    same(loaded.search(queries, 10, threads=2), structure.search(queries, 10))
    assert loaded.memory_bytes == structure.memory_bytes
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BundleCorruptError, match="cannot read"):
        symqg.SymqgShortlist.load(path)


def test_a_file_too_large_for_memory_says_so(tmp_path, monkeypatch):
    path = tmp_path / "shortlist.symqg"
    make("symqg", prefixes(20)).save(path)
    monkeypatch.setattr(np, "load", no_memory)
    with pytest.raises(OutOfMemoryError, match="not enough memory to read"):
        symqg.SymqgShortlist.load(path)


def test_effort_is_the_beam_width_and_comparisons_are_its_neighbours():
    structure = make("symqg", prefixes(2000))
    assert structure.efforts(10) == [10, 15, 20, 30, 40, 80]
    assert structure.comparisons(prefixes(1, seed=1), 10, 16) == 16 * 32
    assert structure.comparisons(prefixes(1, seed=1), 100) == 2000
