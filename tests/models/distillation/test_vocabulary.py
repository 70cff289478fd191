import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from models import ModelError
from models.distillation.vocabulary import assistant_words, down_weighted, student_table, student_vocabulary
from tests.models.distillation.teachers import KNOWN


def test_words_of_the_texts_become_tokens_in_order_of_frequency(teacher):
    tokenizer = SentenceTransformer(str(teacher), device="cpu").tokenizer.backend_tokenizer
    texts = ["skyline airline", "airline red-x9", "airline skyline skyline", "of of of", "catfish"]
    vocabulary = student_vocabulary(tokenizer, texts, 2)
    assert vocabulary.texts == ["[PAD]", "[UNK]", *(word.removeprefix("##") for word in KNOWN), "airline", "skyline"]
    tokens = vocabulary.tokenizer.encode("airline catfish skyline").tokens
    assert tokens == ["airline", "cat", "##fish", "skyline"]
    assert vocabulary.frequencies[-2:].tolist() == [0.6, 0.4]


def test_another_kind_of_tokenizer_is_refused(transformer_directory):
    tokenizer = SentenceTransformer(str(transformer_directory), device="cpu").tokenizer.backend_tokenizer
    with pytest.raises(
        ModelError, match="the teacher's tokenizer is of type WordLevel: give a teacher with a WordPiece"
    ):
        student_vocabulary(tokenizer, ["a"], 1)


@pytest.mark.parametrize("width", [4, 16, 20])
def test_the_first_table_is_the_rotated_teacher_scaled_down_where_common(width):
    rng = np.random.default_rng(0)
    words, texts = rng.normal(size=(2, 30, 16)).astype(np.float32) * np.linspace(0.1, 2, 16, dtype=np.float32)
    frequencies = np.where(np.arange(30) < 5, 1e-3, 0.0)
    table, rotation = student_table(down_weighted(words, frequencies), texts, width, 0)
    assert table.shape == (30, width)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(16), atol=1e-5)
    energy = ((texts @ rotation) ** 2).sum(axis=0)
    assert (np.diff(energy) < 1e-3).all(), "the most important direction first"
    kept = min(width, 16)
    np.testing.assert_allclose(table[5:, :kept], (words @ rotation)[5:, :kept], atol=1e-5)
    np.testing.assert_allclose(table[:5, :kept], (words @ rotation)[:5, :kept] / 2, atol=1e-5)


def test_an_assistants_word_is_the_sum_of_its_tokens(encoder):
    rows = assistant_words(encoder, ["w1", "w2", "w1 w2"])
    np.testing.assert_allclose(rows[0] + rows[1], rows[2], atol=1e-6)
    assert np.linalg.norm(rows, axis=1).mean() == pytest.approx(1)
