from contextlib import suppress

import faiss
import numpy as np
import pytest

from indexer.errors import BundleCorruptError, OutOfMemoryError
from indexer.shortlist import faiss_file, shortlist_type
from tests.indexer.shortlists import exact, make, no_memory, prefixes, same


def test_search_parameters_are_cached_but_only_so_many(monkeypatch):
    monkeypatch.setattr(faiss_file, "_MOST_KNOWN", 3)
    structure, queries = make("hnsw", prefixes(300)), prefixes(5, seed=1)
    found = [structure.search(queries, 10, effort) for effort in (10, 20, 30, 40, 50, 10)]
    same(found[0], found[-1])
    assert len(structure._known) == 3


def test_faiss_gets_its_number_of_threads_back():
    before = faiss.omp_get_max_threads()
    within = []
    with suppress(ZeroDivisionError), faiss_file.OneThread():
        within.append(faiss.omp_get_max_threads())
        raise ZeroDivisionError
    assert within == [1]
    assert faiss.omp_get_max_threads() == before


def test_a_file_is_read_back_and_that_of_another_structure_refused(tmp_path):
    path, queries = tmp_path / "shortlist.faiss", prefixes(3, seed=1)
    structure = make("flat", prefixes(20))
    structure.save(path)
    same(shortlist_type("flat").load(path).search(queries, 5), structure.search(queries, 5))
    with pytest.raises(BundleCorruptError, match="it holds IndexFlatIP, which is not 'hnsw'"):
        shortlist_type("hnsw").load(path)
    with pytest.raises(BundleCorruptError, match=r"cannot read .*shortlist\.faiss"):
        shortlist_type("symqg").load(path)
    path.write_bytes(b"not an index")
    with pytest.raises(BundleCorruptError, match=r"cannot read .*shortlist\.faiss"):
        shortlist_type("flat").load(path)


def test_a_file_too_large_for_memory_says_so(tmp_path, monkeypatch):
    path = tmp_path / "shortlist.faiss"
    make("flat", prefixes(20)).save(path)
    monkeypatch.setattr(faiss, "read_index", no_memory)
    with pytest.raises(OutOfMemoryError, match="not enough memory to read"):
        shortlist_type("flat").load(path)


def test_a_bitmap_decides_which_rows_are_found_and_the_rest_is_padded():
    rows, queries = prefixes(100), prefixes(4, seed=1)
    allowed = np.arange(100) % 20 == 0
    found = make("flat", rows).search(queries, 10, None, np.packbits(allowed, bitorder="little"), 2)
    np.testing.assert_array_equal(found.rows[:, :5], exact(rows, queries, 5, allowed))
    assert (found.rows[:, 5:] == -1).all()
    assert np.isneginf(found.scores[:, 5:]).all()


def test_a_scan_compares_all_rows_and_a_graph_few():
    rows, queries = prefixes(2000), prefixes(5, seed=1)
    scan, graph = make("flat", rows), make("hnsw", rows)
    assert (scan.comparisons(queries, 10), scan.efforts(10)) == (2000, [None])
    assert 10 < graph.comparisons(queries, 10) < graph.comparisons(queries, 10, 200) < 2000
    assert graph.efforts(10) == [10, 15, 20, 30, 40, 80]
    assert graph.memory_bytes > scan.memory_bytes
