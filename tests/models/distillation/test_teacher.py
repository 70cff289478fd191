import numpy as np

from models.distillation.teacher import Teacher
from models.encoders.transformer import SentenceTransformerEncoder
from tests.models.distillation.teachers import make_texts


def test_cached_vectors_are_the_teachers_and_partial_blocks_are_encoded_again(teacher, tmp_path):
    encoder = SentenceTransformerEncoder.load(str(teacher), device="cpu")
    texts = make_texts(30)
    expected = encoder.encode_documents(texts)
    (tmp_path / "x.partial").write_text("left by a kill")
    found = Teacher(encoder, tmp_path, 32).vectors(texts)
    np.testing.assert_allclose(found, expected, atol=2e-2)
    again = Teacher(encoder, tmp_path, 32)
    np.testing.assert_array_equal(again.vectors(texts), found)
    assert again.vectors(texts[:0]).shape == (0, 16)
    assert len(again.vectors(make_texts(5, seed=3), until=0.0)) == 0


def test_bfloat16_vectors_are_close_and_cached_apart(teacher, tmp_path):
    texts, vectors = make_texts(30), {}
    for precision in ("float32", "bfloat16"):
        encoder = SentenceTransformerEncoder.load(str(teacher), device="cpu")
        done = []
        source = Teacher(encoder, str(tmp_path), 32, precision=precision)
        vectors[precision] = source.vectors(texts, report=lambda *counts: done.append(counts))  # noqa: B023
        assert done == [(30, 30)]
    assert (vectors["float32"] * vectors["bfloat16"]).sum(axis=1).min() > 0.99
    assert len(list(tmp_path.iterdir())) == 2
