"""The vocabulary of a static student: the teacher's tokens, and words of the texts that the teacher splits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from models.encoders.static import StaticEncoder
from models.errors import ModelError
from models.nesting import Vectors

_UNUSED = re.compile(r"\[unused\d+\]")
_BLOCK = 4096
_COMMON = 1e-3
"""The constant a of :func:`down_weighted`."""
_NEW_COLUMN_SCALE = 0.1


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A student's tokens.

    Attributes:
        tokenizer: does not truncate and adds no special tokens.
        texts: the text of each token, for the teacher to encode.
        frequencies: share of the texts that contain each token, shape (tokens,).
    """

    tokenizer: Tokenizer
    texts: list[str]
    frequencies: npt.NDArray[np.float64]


def student_vocabulary(teacher: Tokenizer, texts: Iterable[str], min_count: int) -> Vocabulary:
    """Add the words of the texts to a WordPiece tokenizer.

    A static student has no layer that could recombine the pieces of a word, so every word that is frequent enough to be
    learned gets a row of its own. WordPiece takes the longest match: new words become single tokens, and all other
    texts are tokenized as before.

    Args:
        teacher: a WordPiece tokenizer.
        texts: texts to count words in; a text counts a word once.
        min_count: minimum number of texts that contain a new word.

    Raises:
        ModelError: the tokenizer is not a WordPiece tokenizer.
    """
    definition = json.loads(teacher.to_str())
    kind = definition["model"]["type"]
    if kind != "WordPiece":
        raise ModelError(
            f"the teacher's tokenizer is of type {kind}: give a teacher with a WordPiece tokenizer, such as a BERT"
        )
    texts = list(texts)
    known = {token: number for token, number in definition["model"]["vocab"].items() if not _UNUSED.fullmatch(token)}
    counts = _word_counts(teacher, texts)
    # Most frequent first, ties in alphabetical order: the same texts give the same rows.
    new = [word for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= min_count]
    tokens = sorted(known, key=lambda token: known[token]) + [word for word in new if word not in known]
    definition["model"]["vocab"] = {token: number for number, token in enumerate(tokens)}
    for added in definition["added_tokens"]:
        added["id"] = definition["model"]["vocab"][added["content"]]
    definition.update(padding=None, truncation=None, post_processor=None)
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    prefix = definition["model"]["continuing_subword_prefix"]
    return Vocabulary(
        tokenizer, [token.removeprefix(prefix) for token in tokens], _frequencies(tokenizer, texts, len(tokens))
    )


def _word_counts(tokenizer: Tokenizer, texts: list[str]) -> Counter[str]:
    """Count the alphabetic words of three letters or more, as the tokenizer normalises and splits them."""
    counts: Counter[str] = Counter()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        words = {word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)}
        counts.update(word for word in words if len(word) > 2 and word.isalpha())
    return counts


def _frequencies(tokenizer: Tokenizer, texts: list[str], tokens: int) -> npt.NDArray[np.float64]:
    counts = np.zeros(tokens)
    for start in range(0, len(texts), _BLOCK):
        for encoding in tokenizer.encode_batch_fast(texts[start : start + _BLOCK], add_special_tokens=False):
            counts[np.unique(np.asarray(encoding.ids, dtype=np.int64))] += 1
    return counts / max(1, len(texts))


def down_weighted(words: Vectors, frequencies: npt.NDArray[np.float64]) -> Vectors:
    """Scale the vectors of common tokens down by a / (a + p), SIF (Arora et al. 2017, section 3).

    Args:
        words: shape (tokens, T).
        frequencies: share p of the texts that contain each token.
    """
    return words * (_COMMON / (_COMMON + frequencies)).astype(np.float32)[:, None]


def assistant_words(assistant: StaticEncoder, words: Sequence[str]) -> Vectors:
    """Return the vectors of words by a static table, shape (words, T), with a mean length of 1.

    A word is the sum of its tokens, as in the mean of a text; relative lengths, which are weights, are kept.
    """
    rows: Vectors = assistant.token_counts(list(words)) @ assistant.table
    return rows / np.float32(np.linalg.norm(rows, axis=1).mean() or 1)


def student_table(words: Vectors, texts: Vectors, width: int, seed: int) -> tuple[Vectors, Vectors]:
    """Return the initial table of a student.

    Args:
        words: vectors of the tokens, shape (tokens, T); their lengths are weights.
        texts: vectors of many texts, shape (n, T), which determine the important directions.
        width: D. Columns after T are small random numbers, for training to use.
        seed: seed of those columns.

    Returns:
        The table, shape (tokens, D), and the rotation of the teacher's space, shape (T, T), that orders its directions
        by importance (PCA without centring, which keeps cosines). The first columns of the table are words @ rotation.
    """
    _, directions = np.linalg.eigh(texts.T @ texts)
    rotation = np.ascontiguousarray(directions[:, ::-1], dtype=np.float32)
    table = words @ rotation
    new = np.random.default_rng(seed).standard_normal((len(words), max(0, width - table.shape[1])), dtype=np.float32)
    new *= np.float32(_NEW_COLUMN_SCALE / np.sqrt(table.shape[1]))
    new *= np.linalg.norm(words, axis=1, keepdims=True)
    return np.concatenate([table, new], axis=1)[:, :width], rotation
