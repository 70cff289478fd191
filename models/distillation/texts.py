"""The texts a student is distilled on."""

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
    """What was read.

    Attributes:
        texts: shuffled; every file gives as many to any beginning of the list, while it has some, as the others do,
            and its queries count as a file of their own.
        pairs: (query, text) of the rows that have both.
        passed_over: rows without a text.
    """

    texts: list[str]
    pairs: list[Pair]
    passed_over: int


def read_texts(paths: Iterable[Path], text_field: str, query_field: str | None, seed: int) -> DistillationTexts:
    """Read texts, and pairs where a field of queries is named, from the files :func:`models.data.rows.read_rows` knows.

    Raises:
        DataError: a file cannot be read, or no row of any file has a text.
    """
    sources: list[list[str]] = []
    pairs: list[Pair] = []
    passed_over = 0
    for path in paths:
        texts, queries = [], []
        for row in read_rows(path):
            text = "" if isinstance(row, BrokenRow) else text_of(row.fields.get(text_field))
            if isinstance(row, BrokenRow) or not text:
                passed_over += 1
                continue
            texts.append(text)
            query = text_of(row.fields.get(query_field)) if query_field else ""
            if query:
                queries.append(query)
                pairs.append(Pair(query, text))
        sources += [texts, queries]
    if not any(sources):
        raise DataError(f"no text in {passed_over} rows: name the field by --text-field, it was {text_field!r}")
    return DistillationTexts(_interleaved(sources, seed), pairs, passed_over)


def _interleaved(sources: Sequence[list[str]], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    shuffled = [[source[i] for i in rng.permutation(len(source))] for source in sources]
    return [text for text in chain.from_iterable(zip_longest(*shuffled)) if text is not None]
