"""Training pairs: (query, document) texts read from JSON Lines, CSV, TSV or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.data.items import Rejected, read_items, text_of
from models.data.splits import FEWEST_ITEMS, check_validation_share
from models.errors import InvalidOptionError, RejectedRowError

_FEWEST_HELD_OUT = 10
_MOST_HELD_OUT = 2000


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, its relevant document, and hard negatives: documents that look relevant and are not."""

    query: str
    document: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairFile:
    """Pairs read from files, and the rejected rows: (file, line, reason)."""

    pairs: list[Pair]
    rejected: Rejected


def read_pairs(
    paths: Iterable[str | Path], *, query_field: str = "query", document_field: str = "document"
) -> PairFile:
    """Read pairs from files of rows; see :func:`models.data.rows.read_rows` for the formats.

    Hard negatives come from a field ``negative`` (a text) or ``negatives`` (a list of texts), if present. Rows that
    cannot be read or lack one of the two texts are skipped and listed.

    Args:
        paths: the files.
        query_field, document_field: names of the two fields.

    Raises:
        DataError: a file cannot be read, or no row of any file gives a pair.
    """

    def parse(fields: dict[str, Any]) -> Pair:
        query, document = text_of(fields.get(query_field)), text_of(fields.get(document_field))
        if not query or not document:
            missing = query_field if not query else document_field
            raise RejectedRowError(f"no text in field {missing!r}, row has {sorted(fields)}")
        return Pair(query, document, _negatives(fields))

    return PairFile(*read_items(paths, parse, kind="training pair", options="--query-field, --document-field"))


def _negatives(fields: dict[str, Any]) -> tuple[str, ...]:
    given = fields.get("negatives") or fields.get("negative") or ()
    texts = [text_of(value) for value in ([given] if isinstance(given, str) else given)]
    return tuple(dict.fromkeys(text for text in texts if text))


def split_pairs(pairs: Sequence[Pair], validation: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into (training, validation) by a seeded shuffle, after dropping exact duplicates.

    No document of the validation part is used in training, neither in a pair nor as a hard negative: that would leak.

    Args:
        pairs: at least 20 different pairs.
        validation: share to hold out, above 0 and up to 0.5; at least 10 and at most 2,000 pairs are held out.
        seed: seed of the shuffle.

    Raises:
        InvalidOptionError: too few pairs, or a share out of bounds.
    """
    check_validation_share(validation)
    unique = list(dict.fromkeys(pairs))
    if len(unique) < FEWEST_ITEMS:
        raise InvalidOptionError(
            "pairs", f"{len(unique)} different pairs are too few to train on: give at least {FEWEST_ITEMS}"
        )
    order = np.random.default_rng(seed).permutation(len(unique))
    held_out = min(max(_FEWEST_HELD_OUT, round(validation * len(unique))), _MOST_HELD_OUT, len(unique) // 2)
    chosen = [unique[i] for i in order[:held_out]]
    known = {pair.document for pair in chosen}
    training = [pair for pair in (unique[i] for i in order[held_out:]) if pair.document not in known]
    return [
        replace(pair, negatives=tuple(text for text in pair.negatives if text not in known)) for pair in training
    ], chosen


def pairs_hash(pairs: Iterable[Pair]) -> str:
    """Return the sha256 of the pairs in order, which identifies the data of a checkpoint."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(f"{len(pair.query)}:{pair.query}{len(pair.document)}:{pair.document}".encode())
        for text in pair.negatives:
            digest.update(f"-{len(text)}:{text}".encode())
    return digest.hexdigest()
