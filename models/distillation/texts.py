"""Reading the texts and pairs a student is distilled on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from models.data.items import text_of
from models.data.pairs import Pair
from models.data.rows import BrokenRow, read_rows
from models.errors import DataError


@dataclass(frozen=True, slots=True)
class DistillationTexts:
    """The result of :func:`read_texts`.

    Attributes:
        texts: shuffled, and taken from all files in turn, so that every prefix of the list has equal shares of them;
            the queries of a file count as another file.
        pairs: (query, text) of the rows that have both.
        skipped: number of rows without a text.
    """

    texts: list[str]
    pairs: list[Pair]
    skipped: int


def read_texts(
    paths: Iterable[str | Path], *, text_field: str = "text", query_field: str | None = None, seed: int = 0
) -> DistillationTexts:
    """Read texts and pairs from files of rows; see :func:`models.data.rows.read_rows` for the formats.

    Args:
        paths: the files.
        text_field: field of the text.
        query_field: field of a query that the text answers; if None, there are no pairs.
        seed: seed of the shuffle.

    Raises:
        DataError: a file cannot be read, or no row of any file has a text.
    """
    sources: list[list[str]] = []
    pairs: list[Pair] = []
    skipped = 0
    for path in paths:
        texts, queries = [], []
        for row in read_rows(path):
            text = "" if isinstance(row, BrokenRow) else text_of(row.fields.get(text_field))
            if isinstance(row, BrokenRow) or not text:
                skipped += 1
                continue
            texts.append(text)
            query = text_of(row.fields.get(query_field)) if query_field else ""
            if query:
                queries.append(query)
                pairs.append(Pair(query, text))
        sources += [texts, queries]
    if not any(sources):
        raise DataError(f"none of {skipped} rows has a text in field {text_field!r}: name the field by --text-field")
    return DistillationTexts(_interleaved(sources, seed), pairs, skipped)


def _interleaved(sources: Sequence[list[str]], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    shuffled = [[source[i] for i in rng.permutation(len(source))] for source in sources]
    return [text for text in chain.from_iterable(zip_longest(*shuffled)) if text is not None]
