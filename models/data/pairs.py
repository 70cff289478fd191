"""Training pairs: (query, document) texts read from JSON Lines, CSV or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.data.rows import BrokenRow, read_rows
from models.errors import DataError, InvalidOptionError


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, the document that answers it, and documents that look as if they did (hard negatives)."""

    query: str
    document: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairFile:
    """Pairs as read, and the rows that were passed over: (file, line, reason)."""

    pairs: list[Pair]
    rejected: list[tuple[str, int, str]]


def read_pairs(paths: Iterable[Path], query_field: str = "query", document_field: str = "document") -> PairFile:
    """Read pairs from ``.jsonl[.gz|.zst]``, ``.csv``, ``.tsv`` or ``.parquet`` files.

    Hard negatives are read from a field ``negative`` (a text) or ``negatives`` (a list of texts) where there is one.
    Rows that cannot be read or lack one of the two texts are passed over and listed.

    Raises:
        DataError: a file cannot be read, or no row of any file gives a pair.
    """
    pairs: list[Pair] = []
    rejected: list[tuple[str, int, str]] = []
    for path in paths:
        for row in read_rows(path):
            if isinstance(row, BrokenRow):
                rejected.append((str(path), row.number, row.reason))
                continue
            query, document = (text_of(row.fields.get(field)) for field in (query_field, document_field))
            if query and document:
                pairs.append(Pair(query, document, _negatives(row.fields)))
            else:
                missing = query_field if not query else document_field
                rejected.append((str(path), row.number, f"no text in field {missing!r}, row has {sorted(row.fields)}"))
    if not pairs:
        first = f"; the first problem: {rejected[0][0]} line {rejected[0][1]}: {rejected[0][2]}" if rejected else ""
        raise DataError(
            f"no training pair in {len(rejected)} rows{first}. Name the fields by --query-field, --document-field"
        )
    return PairFile(pairs, rejected)


def _negatives(fields: dict[str, Any]) -> tuple[str, ...]:
    given = fields.get("negatives") or fields.get("negative") or ()
    texts = [text_of(value) for value in ([given] if isinstance(given, str) else given)]
    return tuple(dict.fromkeys(text for text in texts if text))


def text_of(value: Any) -> str:
    """Give a field's text, stripped; an empty one where it holds none that can be encoded."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()  # a lone surrogate cannot be tokenized
    except UnicodeEncodeError:
        return ""
    return value.strip()


def split_pairs(pairs: Sequence[Pair], validation: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into (training, validation) by a seeded shuffle, dropping exact repeats first.

    A pair whose document stands in the validation part never trains, nor does such a text as a hard negative: it
    would be known.

    Args:
        pairs: at least 20 different ones.
        validation: share held out, between 0 and 0.5; at least 10 and at most 2,000 pairs are.

    Raises:
        InvalidOptionError: too few pairs, or a share out of bounds.
    """
    if not 0 < validation <= 0.5:
        raise InvalidOptionError("validation", f"validation share {validation}: give one above 0 and up to 0.5")
    unique = list(dict.fromkeys(pairs))
    if len(unique) < 20:
        raise InvalidOptionError("pairs", f"{len(unique)} different pairs are too few to train on: give at least 20")
    order = np.random.default_rng(seed).permutation(len(unique))
    held_out = min(max(10, round(validation * len(unique))), 2000, len(unique) // 2)
    chosen = [unique[i] for i in order[:held_out]]
    known = {pair.document for pair in chosen}
    training = [pair for pair in (unique[i] for i in order[held_out:]) if pair.document not in known]
    return [
        replace(pair, negatives=tuple(text for text in pair.negatives if text not in known)) for pair in training
    ], chosen


def pairs_hash(pairs: Iterable[Pair]) -> str:
    """sha256 over the pairs in order: what a checkpoint is matched by."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(f"{len(pair.query)}:{pair.query}{len(pair.document)}:{pair.document}".encode())
        for text in pair.negatives:
            digest.update(f"-{len(text)}:{text}".encode())
    return digest.hexdigest()
