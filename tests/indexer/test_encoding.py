"""Vectors of documents: their own, of their images, or of their texts."""

import numpy as np
import pytest

from indexer import Document, encode_documents, encode_images, encoding
from models import ImageError, ModelError
from tests.conftest import DIMENSION, make_encoder
from tests.indexer.encoders import TEXTS, ByColour, png


def photo(red, **options):
    return Document(str(red), image=png(red, **options))


@pytest.fixture
def encoder():
    return ByColour()


def test_each_document_is_encoded_by_what_it_has(encoder):
    own = np.arange(1, DIMENSION + 1, dtype=np.float32)
    documents = [Document("a", "w1 w2"), photo(7), Document("b", "w3", vector=own), Document("c", "w5", title="w4")]
    vectors, problems = encode_documents(encoder, documents)
    assert problems == [""] * 4
    np.testing.assert_array_equal(vectors[[0, 3]], TEXTS.encode_documents(["w1 w2", "w4 w5"]))
    assert vectors[1, 0] == 7
    np.testing.assert_allclose(vectors[2], own / np.linalg.norm(own), atol=1e-6)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        (np.ones(8, np.float32), "its vector has 8 numbers: the index has 32 dimensions"),
        (np.full(DIMENSION, np.nan, np.float32), "its vector holds NaN or infinity"),
        (np.full(DIMENSION, np.inf, np.float32), "its vector holds NaN or infinity"),
    ],
)
def test_a_vector_that_cannot_be_used_rejects_its_document_only(encoder, vector, problem):
    vectors, problems = encode_documents(encoder, [Document("a", vector=vector), Document("b", "w1")])
    assert problems == [problem, ""]
    assert not vectors[0].any()
    assert vectors[1].any()


def test_a_model_that_gives_nan_rejects_the_document():
    broken = make_encoder()
    broken.table[5] = np.nan
    assert encode_documents(broken, [Document("a", "w1"), Document("b", "w5")])[1] == [
        "",
        "the model gave NaN or infinity",
    ]


def test_an_image_that_cannot_be_read_rejects_its_document_only(encoder):
    vectors, problems = encode_documents(encoder, [photo(1), Document("b", image=b"?"), photo(3)])
    assert [problem[:24] for problem in problems] == ["", "no image of a known kind", ""]
    assert vectors[:, 0].tolist() == [1, 0, 3]


def test_a_model_of_texts_cannot_encode_images():
    with pytest.raises(ModelError, match="model 'tiny' encodes no images: give a CLIP-like model"):
        encode_documents(TEXTS, [Document("a", "w1"), photo(1)])


def test_no_documents(encoder):
    vectors, problems = encode_documents(encoder, [])
    assert (vectors.shape, problems) == ((0, DIMENSION), [])


@pytest.mark.parametrize(
    ("name", "value", "batches"),
    [("_IMAGES_AT_ONCE", 2, [2, 2, 1]), ("_PIXELS_AT_ONCE", 33, [3, 2]), ("_PIXELS_AT_ONCE", 16, [1] * 5)],
)
def test_images_are_encoded_in_bounded_batches(encoder, monkeypatch, name, value, batches):
    monkeypatch.setattr(encoding, name, value)
    reds = [5, 1, 4, 2, 3]
    vectors, _ = encode_documents(encoder, [photo(red) for red in reds])
    assert vectors[:, 0].tolist() == reds
    assert encoder.batches == batches


def test_images_alone_come_in_their_order(encoder, tmp_path):
    (tmp_path / "a.png").write_bytes(png(9))
    assert encode_images(encoder, [png(3), tmp_path / "a.png"])[:, 0].tolist() == [3, 9]
    assert encode_images(encoder, []).shape == (0, DIMENSION)


def test_the_first_image_that_cannot_be_read_is_named(encoder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"?")
    with pytest.raises(ImageError, match=r"image .*a\.png: no image of a known kind"):
        encode_images(encoder, [png(3), tmp_path / "a.png", b"!"])
