import numpy as np
import pytest

from indexer import BuildOptions, Corpus, build_index
from indexer.calibration.queries import (
    MOST_COPIES,
    GivenQueries,
    QuerySet,
    SampledQueries,
    checked_vectors,
    read_queries,
)
from indexer.search.generation import OpenedGeneration
from models import DataError, InvalidOptionError
from tests.conftest import DIMENSION, make_encoder, write_lines


def sampled(opened, encoder, seed=0, fields=("title", "text")):
    return SampledQueries(opened.vectors, opened.distinct, opened.documents, fields, encoder, seed)


def test_sampled_queries_are_words_of_the_texts_and_the_same_for_the_same_seed(opened):
    class Spy:
        def __init__(self):
            self.texts = []

        def encode_queries(self, texts):
            self.texts += texts
            return make_encoder().encode_queries(texts)

    spies = [Spy(), Spy(), Spy()]
    phrase, words = sampled(opened, spies[0], seed=1).draw(50)
    sampled(opened, spies[1], seed=1).draw(50)
    sampled(opened, spies[2], seed=2).draw(50)
    assert (phrase.kind, words.kind, len(phrase), len(words)) == ("phrase", "words", 50, 50)
    assert spies[0].texts == spies[1].texts != spies[2].texts
    phrases, made_up = spies[0].texts[:50], spies[0].texts[50:]
    assert {len(text.split()) for text in phrases} == {1, 2, 3}
    assert {len(text.split()) for text in made_up} == {2, 3, 4, 5}
    assert all(part.startswith("w") for text in made_up for part in text.split())
    # The document of a phrase and its duplicates are excluded; made-up queries are of no document.
    for text, rows in zip(phrases, phrase.excluded, strict=True):
        documents = opened.documents.fetch(rows[rows >= 0].tolist())
        assert documents
        for document in documents:
            assert f" {text} " in f" {document.payload['title']} {document.payload['text']} "
    assert (words.excluded == -1).all()
    assert max((phrase.excluded >= 0).sum(axis=1)) == 2


def test_sampled_queries_are_vectors_without_text_or_an_encoder(opened):
    for source in (sampled(opened, None), sampled(opened, make_encoder(), fields=("nosuch",))):
        row, mixed = source.draw(20)
        assert (row.kind, mixed.kind, len(row), len(mixed)) == ("row", "mixed rows", 20, 20)
        first = opened.vectors.prefixes(row.excluded[:, 0], DIMENSION)
        np.testing.assert_allclose(row.vectors, first, atol=1e-6)


def test_vectors_that_too_many_rows_share_make_no_queries(tmp_path):
    texts = ["w1 w2"] * (MOST_COPIES + 1) + ["w3 w4"] * MOST_COPIES
    rows = [{"_id": str(i), "text": text} for i, text in enumerate(texts)]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)])
    result = build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(calibration=None))
    opened = OpenedGeneration(result.path)
    row, _ = sampled(opened, None).draw(10)
    opened.close()
    np.testing.assert_array_equal(row.excluded, [range(MOST_COPIES + 1, 2 * MOST_COPIES + 1)] * 10)


def test_queries_are_read_from_rows_or_lines(tmp_path):
    rows = write_lines(tmp_path / "q.jsonl", [{"text": "one"}, {"query": " two "}, {"text": ""}])
    assert read_queries(rows) == read_queries(str(rows)) == ["one", "two"]
    lines = tmp_path / "q.txt"
    lines.write_text("one\n\n two\n", encoding="utf-8")
    assert read_queries(lines) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", '{"body": "x"}\n', r"q.jsonl line 1: a query needs 'text' or 'query', the row has \['body'\]"),
        ("q.jsonl", "{broken\n", "q.jsonl line 1: bad JSON"),
        ("q.txt", "\n \n", "q.txt holds no query"),
        ("q.txt", None, "cannot read queries .*q.txt"),
    ],
)
def test_a_broken_file_of_queries_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_queries(tmp_path / name)


def test_queries_without_a_direction_are_dropped():
    queries = QuerySet.of("given", np.array([[1, 1], [0, 0], [np.nan, 1]], dtype=np.float32))
    assert len(queries) == 1
    np.testing.assert_allclose(queries.vectors, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_given_queries_are_drawn_once_each_in_random_order():
    vectors = np.eye(10, dtype=np.float32)
    source, same, other = GivenQueries(vectors, seed=1), GivenQueries(vectors, seed=1), GivenQueries(vectors, seed=2)
    assert len(source) == 10
    drawn = [source.draw(4)[0].vectors for _ in range(4)]
    assert [len(part) for part in drawn] == [4, 4, 2, 0]
    np.testing.assert_array_equal(np.sort(np.concatenate(drawn).argmax(axis=1)), np.arange(10))
    np.testing.assert_array_equal(same.draw(4)[0].vectors, drawn[0])
    assert (other.draw(4)[0].vectors != drawn[0]).any()


def test_query_vectors_become_float32():
    assert checked_vectors([[1, 2]], 2).dtype == np.float32


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0, 3.0]], r"query vectors of shape \(1, 3\): give at least one of 2 dimensions"),
        ([1.0, 2.0], r"query vectors of shape \(2,\)"),
        (np.zeros((0, 2)), r"query vectors of shape \(0, 2\)"),
        ([[1.0, np.inf]], "a query vector holds NaN or infinity"),
    ],
)
def test_query_vectors_of_another_shape_or_not_finite_are_refused(vectors, message):
    with pytest.raises(InvalidOptionError, match=message):
        checked_vectors(vectors, 2)
