"""Queries to calibrate with: real ones, or stand-ins made from the corpus.

Nothing says what users will ask, so stand-ins have to be at least as hard as real queries. A document's own vector is
not: a graph is built from such vectors and finds its way to them, and their prefixes lie close to their neighbours'.
Measured with ``wordllama`` on Cranfield, CISI, Debian's and a hundred thousand packages' descriptions, against real
questions, summaries and names: longer passages of text are too easy where users type rare names. The shorter a passage,
the harder for a graph; words from all over the vocabulary, most of them rare, are the hardest for a prefix. Each of the
two kinds is at times a little easier than names, but not both at once (``benchmarks/promises.py``). So both are asked,
and what is promised holds for the harder of the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from indexer.kernels.rows import Rows
from indexer.search.distinct import DistinctRows
from indexer.storage.documents import Documents
from indexer.storage.vectors import StoredVectors
from models.data.rows import BrokenRow, is_row_file, read_rows
from models.encoders.base import Encoder
from models.errors import DataError, InvalidOptionError
from models.nesting import Vectors, truncate

MOST_COPIES = 4
"""Rows of equal vectors that are left out for a query made from one; more common vectors are not asked for."""
_POOL = 2000
"""Documents that stand-ins are made from."""
_PHRASE, _WORDS = (1, 3), (2, 5)
"""Fewest and most words of the two kinds of stand-ins."""


@dataclass(frozen=True, slots=True, eq=False)
class QuerySet:
    """Queries of one kind.

    Attributes:
        kind: its name.
        vectors: unit vectors, shape (n, D).
        left_out: rows that must not be found for each query, shape (n, MOST_COPIES); -1 where there are fewer.
    """

    kind: str
    vectors: Vectors
    left_out: Rows

    @classmethod
    def of(cls, kind: str, vectors: Vectors, left_out: Rows | None = None) -> QuerySet:
        """Take queries; those that are zero or not finite, which have no neighbours, are dropped."""
        vectors = truncate(vectors, vectors.shape[1])
        if left_out is None:
            left_out = np.full((len(vectors), MOST_COPIES), -1, dtype=np.int64)
        good = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        return cls(kind, vectors[good], left_out[good])

    def __len__(self) -> int:
        return len(self.vectors)


class QuerySource(Protocol):
    """Gives queries, a few at a time, so that time decides how many there are."""

    origin: ClassVar[Literal["given", "sampled"]]

    def draw(self, count: int) -> list[QuerySet]:
        """Return the next ``count`` queries of each kind, fewer where there are no more."""


class GivenQueries:
    """Queries of the user's, each once, in an order of chance."""

    origin: ClassVar[Literal["given", "sampled"]] = "given"

    def __init__(self, vectors: Vectors, seed: int) -> None:
        self._vectors, self._next = vectors[np.random.default_rng(seed).permutation(len(vectors))], 0

    def __len__(self) -> int:
        return len(self._vectors)

    def draw(self, count: int) -> list[QuerySet]:
        """See :class:`QuerySource`."""
        start, self._next = self._next, self._next + count
        return [QuerySet.of("given", self._vectors[start : self._next])]


class SampledQueries:
    """Stand-ins from the corpus: words of documents' texts; where there is no text or encoder, documents' vectors."""

    origin: ClassVar[Literal["given", "sampled"]] = "sampled"

    def __init__(
        self,
        vectors: StoredVectors,
        distinct: DistinctRows,
        documents: Documents,
        fields: Sequence[str],
        encoder: Encoder | None,
        seed: int,
    ) -> None:
        """Draw the documents.

        Args:
            vectors, distinct, documents: of the index.
            fields: the documents' fields that hold text.
            encoder: the model of the index.
            seed: decides which documents and words are drawn.
        """
        self._vectors, self._encoder = vectors, encoder
        self._random = np.random.default_rng(seed)
        rows = len(vectors)
        drawn = np.sort(self._random.choice(rows, min(rows, _POOL), replace=False))
        self._left_out = _copies(distinct, drawn)
        # A vector that many rows share cannot be left out of an answer of bounded length.
        rare = self._left_out[:, -1] < 0
        self._rows, self._left_out = drawn[rare], self._left_out[rare, :MOST_COPIES]
        stored = documents.fetch(self._rows.tolist()) if encoder else []
        self._words = [_words(document.payload, fields) for document in stored]
        self._with_words = np.flatnonzero([bool(words) for words in self._words])
        self._vocabulary = sorted({word for words in self._words for word in words})

    def draw(self, count: int) -> list[QuerySet]:
        """See :class:`QuerySource`."""
        if self._encoder is not None and len(self._with_words):
            return self._words_of_documents(self._encoder, count)
        return self._vectors_of_documents(count) if len(self._rows) else []

    def _words_of_documents(self, encoder: Encoder, count: int) -> list[QuerySet]:
        chosen = self._random.choice(self._with_words, count)
        phrases = [
            self._phrase(self._words[i], length)
            for i, length in zip(chosen, self._lengths(_PHRASE, count), strict=True)
        ]
        made_up = [self._made_up(length) for length in self._lengths(_WORDS, count)]
        vectors = encoder.encode_queries(phrases + made_up)
        return [
            QuerySet.of("phrase", vectors[:count], self._left_out[chosen]),
            QuerySet.of("words", vectors[count:]),
        ]

    def _lengths(self, bounds: tuple[int, int], count: int) -> list[int]:
        lengths: list[int] = self._random.integers(bounds[0], bounds[1] + 1, count).tolist()
        return lengths

    def _phrase(self, words: Sequence[str], length: int) -> str:
        start = int(self._random.integers(max(1, len(words) - length + 1)))
        return " ".join(words[start : start + length])

    def _made_up(self, length: int) -> str:
        return " ".join(self._vocabulary[i] for i in self._random.integers(len(self._vocabulary), size=length))

    def _vectors_of_documents(self, count: int) -> list[QuerySet]:
        vectors, rows = self._vectors, len(self._rows)
        first, second, third = self._random.integers(rows, size=(3, count))
        mixed = sum(vectors.prefixes(self._rows[part], vectors.dimension) for part in (first, second, third))
        return [
            QuerySet.of("row", vectors.prefixes(self._rows[first], vectors.dimension), self._left_out[first]),
            QuerySet.of("mixed rows", np.asarray(mixed)),
        ]


def read_queries(path: Path) -> list[str]:
    """Read queries: JSON Lines, CSV or Parquet with a field ``text`` or ``query``, or one a line of a text file.

    Raises:
        DataError: the file cannot be read, a row is broken, or there is no query.
    """
    if is_row_file(path):
        queries = [_query(path, row) for row in read_rows(path)]
    else:
        try:
            queries = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read queries {path}: {error}") from error
    if not any(queries):
        raise DataError(f"{path} holds no query")
    return [query for query in queries if query]


def checked_vectors(vectors: Vectors, dimension: int) -> Vectors:
    """Check query vectors: shape (n, D), finite.

    Raises:
        InvalidOptionError: they are not.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dimension or not len(vectors):
        raise InvalidOptionError(
            "queries", f"query vectors of shape {vectors.shape}: give at least one of {dimension} dimensions"
        )
    if not np.isfinite(vectors).all():
        raise InvalidOptionError("queries", "a query vector holds NaN or infinity")
    return vectors


def _query(path: Path, row: Any) -> str:
    if isinstance(row, BrokenRow):
        raise DataError(f"{path} line {row.number}: {row.reason}")
    text = row.fields.get("text", row.fields.get("query"))
    if not isinstance(text, str):
        raise DataError(f"{path} line {row.number}: a query needs 'text' or 'query', the row has {sorted(row.fields)}")
    return text.strip()


def _words(payload: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    texts = (payload.get(field) for field in fields)
    return re.findall(r"\w+", " ".join(text for text in texts if isinstance(text, str)))


def _copies(distinct: DistinctRows, rows: Rows) -> Rows:
    """Return the rows of each row's vector, its own among them: one more than may be left out, -1 where fewer."""
    shape = (len(rows), MOST_COPIES + 1)
    scores, alone = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
    scores[:, 0], alone[:, 0] = 1, rows
    return distinct.expand(scores, alone, None)[1]
