"""Encoding a corpus batch by batch: what a build and an append have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from indexer.corpus import CorpusRow, Document, Place
from indexer.encoding import encode_documents
from indexer.errors import RejectedRowError
from models.encoders.base import Encoder
from models.nesting import Vectors

BATCH_SIZE = 4096
"""Default number of rows that are encoded and committed together."""


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Consecutive rows of a corpus, split into documents and rejected rows.

    Attributes:
        documents: the valid documents, with different ids.
        vectors: of the documents, float32, shape (len(documents), D).
        rejected: the other rows in corpus order, each with its problem.
        place: where reading continues after the batch.
    """

    documents: list[Document]
    vectors: Vectors
    rejected: list[CorpusRow]
    place: Place


def encoded_batches(
    rows: Iterator[CorpusRow],
    encoder: Encoder,
    *,
    batch_size: int,
    known: Callable[[Sequence[str]], set[str]],
    check: Callable[[Document], object] = lambda document: None,
) -> Iterator[EncodedBatch]:
    """Encode rows, a batch at a time.

    Args:
        rows: of the corpus.
        encoder: gives unit vectors.
        batch_size: rows per batch.
        known: returns those of a batch's ids that earlier batches used, as a set to which its new ids are added. Of
            rows with the same id only the first becomes a document.
        check: raises RejectedRowError for a document that cannot be stored.

    Raises:
        ModelError: a document is an image and the model encodes none.
        DataError: a file cannot be read.
    """
    while batch := list(islice(rows, batch_size)):
        yield _encoded(batch, encoder, known([row.document.id for row in batch if row.document]), check)


def no_document(rejected: int, first: str) -> str:
    """Return the error message for a corpus without a valid document, given the problem of its first row."""
    return (
        f"none of the {rejected} rows is a document; the first: {first}. "
        "Name the fields by --id-field, --text-field, --title-field"
    )


def _encoded(
    batch: Sequence[CorpusRow], encoder: Encoder, known: set[str], check: Callable[[Document], object]
) -> EncodedBatch:
    rejected: list[CorpusRow] = []
    rows: list[CorpusRow] = []
    documents: list[Document] = []
    for row in batch:
        if row.document is None:
            rejected.append(row)
        elif row.document.id in known:
            rejected.append(replace(row, document=None, problem=f"duplicate id {row.document.id!r}"))
        else:
            try:
                check(row.document)
            except RejectedRowError as error:
                rejected.append(replace(row, document=None, problem=str(error)))
                continue
            known.add(row.document.id)
            rows.append(row)
            documents.append(row.document)
    place = batch[-1].place
    if not documents:
        return EncodedBatch([], np.zeros((0, encoder.dimension), np.float32), rejected, place)
    vectors, problems = encode_documents(encoder, documents)
    rejected += [replace(row, document=None, problem=why) for row, why in zip(rows, problems, strict=True) if why]
    rejected.sort(key=lambda row: (row.place.file, row.place.row))
    valid = [number for number, why in enumerate(problems) if not why]
    return EncodedBatch([documents[number] for number in valid], vectors[valid], rejected, place)
