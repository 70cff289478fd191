import numpy as np
import pytest

from indexer import Corpus
from indexer.building.batches import encoded_batches, no_document
from models import DataError
from tests.conftest import make_encoder, write_lines


def batches(tmp_path, rows, size, known=lambda ids: set(), encoder=None):
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", rows)])
    return list(encoded_batches(corpus.rows(), encoder or make_encoder(), batch_size=size, known=known))


def test_rows_are_split_into_documents_with_vectors_and_rejected_rows_in_order(tmp_path):
    encoder = make_encoder()
    encoder.table[5] = np.nan
    rows = [{"_id": "a", "text": "w1"}, {"_id": "b", "text": "w5"}, {"_id": "c"}, {"_id": "a", "text": "w2"}]
    (batch,) = batches(tmp_path, rows, 10, encoder=encoder)
    assert [document.id for document in batch.documents] == ["a"]
    np.testing.assert_array_equal(batch.vectors, encoder.encode_documents(["w1"]))
    assert [row.line for row in batch.rejected] == [2, 3, 4]
    problems = ["the model gave NaN or infinity", "missing text", "duplicate id 'a'"]
    assert [row.problem[: len(why)] for row, why in zip(batch.rejected, problems, strict=True)] == problems
    assert all(row.document is None for row in batch.rejected)
    assert (batch.place.file, batch.place.row) == (0, 4)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_size_of_batches_changes_nothing_but_their_number(tmp_path, size):
    rows = [{"_id": str(i % 5), "text": f"w{i}"} for i in range(7)]
    seen = set()
    found = batches(tmp_path, rows, size, lambda ids: seen)
    assert len(found) == -(-7 // size)
    assert [document.id for batch in found for document in batch.documents] == ["0", "1", "2", "3", "4"]
    assert [row.line for batch in found for row in batch.rejected] == [6, 7]
    assert [batch.place.row for batch in found] == [*range(size, 7, size), 7]


def test_ids_of_earlier_batches_are_asked_for_by_batch(tmp_path):
    asked = []

    def known(ids):
        asked.append(list(ids))
        return {"b"}

    found = batches(tmp_path, [{"_id": "a", "text": "w1"}, {"_id": "b", "text": "w2"}, {"key": 1}], 2, known)
    assert asked == [["a", "b"], []]
    assert [[row.line for row in batch.rejected] for batch in found] == [[2], [3]]
    assert found[1].vectors.shape == (0, 32)


def test_a_file_that_cannot_be_read_ends_it(tmp_path):
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])])
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(DataError, match=r"corpus.jsonl"):
        list(encoded_batches(corpus.rows(), make_encoder(), batch_size=1, known=lambda ids: set()))


def test_the_message_for_a_corpus_without_a_document_names_the_options():
    message = no_document(2, "c.jsonl line 1: no field 'id'")
    assert message.startswith("none of the 2 rows is a document; the first: c.jsonl line 1: no field 'id'. Name the")
    assert "--id-field" in message
