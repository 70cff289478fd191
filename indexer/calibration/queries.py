"""Queries to calibrate with: given ones, or synthetic queries sampled from the corpus.

Real queries are unknown before an index is used, so synthetic ones must be at least as hard. A document's own vector is
too easy: a graph is built from such vectors and leads to them, and their prefixes are close to their neighbours'.
Measured with ``wordllama`` on Cranfield, CISI, Debian's and 100,000 packages' descriptions, against real questions,
summaries and names: longer passages of text are too easy if users type rare names. The shorter a passage, the harder it
is for a graph; words from the whole vocabulary, most of them rare, are the hardest for a prefix. Each of these two
kinds is sometimes slightly easier than names, but never both (``benchmarks/promises.py``). So both are used, and a
promise holds for the harder of the two.
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
"""Most rows of one vector that can be excluded for a query made from it; more common vectors make no queries."""
_POOL = 2000
"""Number of documents that synthetic queries are made from."""
_PHRASE, _WORDS = (1, 3), (2, 5)
"""Fewest and most words of the two kinds of synthetic queries."""


@dataclass(frozen=True, slots=True, eq=False)
class QuerySet:
    """Queries of one kind.

    Attributes:
        kind: name of the kind.
        vectors: unit vectors, shape (n, D).
        excluded: rows excluded from the answer to each query, shape (n, MOST_COPIES), padded with -1.
    """

    kind: str
    vectors: Vectors
    excluded: Rows

    @classmethod
    def of(cls, kind: str, vectors: Vectors, excluded: Rows | None = None) -> QuerySet:
        """Normalise query vectors and drop those that are zero or not finite, which have no neighbours."""
        vectors = truncate(vectors, vectors.shape[1])
        if excluded is None:
            excluded = np.full((len(vectors), MOST_COPIES), -1, dtype=np.int64)
        good = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        return cls(kind, vectors[good], excluded[good])

    def __len__(self) -> int:
        return len(self.vectors)


class QuerySource(Protocol):
    """A source of queries in batches, so that the time budget decides their number."""

    origin: ClassVar[Literal["given", "sampled"]]

    def draw(self, count: int) -> list[QuerySet]:
        """Return the next ``count`` queries of each kind, or as many as are left."""


class GivenQueries:
    """The user's queries, each once, in random order."""

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
    """Synthetic queries: words from the documents' texts, or the documents' vectors without text or an encoder."""

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
            vectors, distinct, documents: parts of the index.
            fields: payload fields that hold text.
            encoder: the index's model; None to make queries of vectors.
            seed: of the choice of documents and words.
        """
        self._vectors, self._encoder = vectors, encoder
        self._random = np.random.default_rng(seed)
        rows = len(vectors)
        drawn = np.sort(self._random.choice(rows, min(rows, _POOL), replace=False))
        self._excluded = _copies(distinct, drawn)
        # A vector shared by many rows cannot be excluded from an answer of bounded length.
        rare = self._excluded[:, -1] < 0
        self._rows, self._excluded = drawn[rare], self._excluded[rare, :MOST_COPIES]
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
            QuerySet.of("phrase", vectors[:count], self._excluded[chosen]),
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
            QuerySet.of("row", vectors.prefixes(self._rows[first], vectors.dimension), self._excluded[first]),
            QuerySet.of("mixed rows", np.asarray(mixed)),
        ]


def read_queries(path: str | Path) -> list[str]:
    """Read queries: the field ``text`` or ``query`` of JSON Lines, CSV or Parquet rows, or the lines of a text file.

    Raises:
        DataError: the file cannot be read, a row is broken, or there is no query.
    """
    path = Path(path)
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
    """Return query vectors as float32.

    Raises:
        InvalidOptionError: their shape is not (n, D), or a value is not finite.
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
    """Return the rows with the same vector as each row, itself included: one more than can be excluded, -1 padded."""
    shape = (len(rows), MOST_COPIES + 1)
    scores, alone = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
    scores[:, 0], alone[:, 0] = 1, rows
    return distinct.expand(scores, alone, None)[1]
