"""Appending a corpus to an existing index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from indexer.building.batches import BATCH_SIZE, encoded_batches, no_document
from indexer.corpus import Corpus, CorpusRow
from indexer.progress import EncodingDocuments, Report, silent
from indexer.updates import Updates, checked_payload
from models.errors import DataError, InvalidOptionError

APPEND_BATCH_SIZE = BATCH_SIZE


@dataclass(frozen=True, slots=True)
class AppendResult:
    """The outcome of an append.

    Attributes:
        added: number of documents with new ids.
        replaced: number of documents that replaced one with the same id.
        rejected: number of rows that were not indexed.
    """

    added: int
    replaced: int
    rejected: int


def append_corpus(
    corpus: Corpus,
    updates: Updates,
    *,
    batch_size: int = APPEND_BATCH_SIZE,
    on_rejected: Callable[[CorpusRow], None] = lambda row: None,
    report: Report = silent,
) -> AppendResult:
    """Upsert every document of a corpus, batch by batch; each batch is on disk and searchable before the next begins.

    After an interruption make the same call again: documents that are already there replace themselves.

    Args:
        corpus: the documents. Of several with the same id the first counts, as in a build.
        updates: writes to the index.
        batch_size: rows encoded and written together.
        on_rejected: called with each rejected row; it may raise to stop the append.
        report: receives ``EncodingDocuments`` events.

    Raises:
        InvalidOptionError: ``batch_size`` is less than 1.
        DataError: a file of the corpus cannot be read, or no row of the corpus is a document.
        BundleError, ModelError: see :meth:`Updates.upsert`.
    """
    if batch_size < 1:
        raise InvalidOptionError("batch_size", f"batch_size {batch_size}: give at least 1")
    added = replaced = rejected = 0
    first_problem = ""
    seen: set[str] = set()
    report(EncodingDocuments())
    batches = encoded_batches(
        corpus.rows(),
        updates.model.encoder,
        batch_size=batch_size,
        known=lambda ids: seen,
        check=lambda document: checked_payload(document, updates.text_fields),
    )
    for batch in batches:
        done = updates.upsert_encoded(batch.documents, batch.vectors)
        for row in batch.rejected:
            first_problem = first_problem or f"{row.source} line {row.line}: {row.problem}"
            on_rejected(row)
        added, replaced = added + done.added, replaced + done.replaced
        rejected += len(batch.rejected)
        report(EncodingDocuments(done=added + replaced + rejected, rejected=rejected))
    if first_problem and not added + replaced:
        raise DataError(no_document(rejected, first_problem))
    return AppendResult(added, replaced, rejected)
