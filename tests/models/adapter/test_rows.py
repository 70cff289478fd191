import numpy as np
import pytest

from models import InvalidOptionError, TrainingError
from models.adapter.rows import AdapterRows
from tests.models.adapter.vectors import DIMENSION, make_vectors


def test_no_row_is_in_two_parts():
    documents = np.repeat(make_vectors(500, 0), 2, axis=0)
    documents[0] = 0
    rows = AdapterRows.split(documents, None, 0.2, seed=0)
    parts = [rows.documents, rows.queries, rows.held_documents, rows.held_queries]
    assert [len(part) for part in parts] == [300, 100, 75, 25]
    assert len({row.tobytes() for part in parts for row in part}) == 500
    with_queries = AdapterRows.split(documents, make_vectors(200, 1), 0.1, seed=0)
    assert [len(part) for part in (with_queries.documents, with_queries.held_documents)] == [450, 50]
    assert [len(part) for part in (with_queries.queries, with_queries.held_queries)] == [180, 20]


def test_the_second_moment_gives_documents_and_queries_equal_weight():
    rows = AdapterRows.split(make_vectors(500, 0), make_vectors(200, 1), 0.1, seed=0)
    moment = rows.second_moment()
    parts = [part.astype(np.float64) for part in (rows.documents, rows.queries)]
    expected = sum(np.einsum("ni,nj->ij", part, part) / len(part) for part in parts) / 2
    np.testing.assert_allclose(moment, expected, rtol=1e-9)
    assert np.trace(moment) == pytest.approx(1, abs=1e-6), "unit rows"
    assert moment.shape == (DIMENSION, DIMENSION)


def test_vectors_that_cannot_be_used_are_refused():
    documents = make_vectors(500, 0)
    with pytest.raises(InvalidOptionError, match=f"queries of 8 dimensions: the documents have {DIMENSION}"):
        AdapterRows.split(documents, make_vectors(200, 1)[:, :8], 0.1, seed=0)
    with pytest.raises(TrainingError, match=r"399 distinct documents are too few .* give at least 400"):
        AdapterRows.split(documents[:399], None, 0.1, seed=0)
    documents[3, 3] = np.inf
    with pytest.raises(InvalidOptionError, match="documents with NaN or infinite components: give finite vectors"):
        AdapterRows.split(documents, None, 0.1, seed=0)
