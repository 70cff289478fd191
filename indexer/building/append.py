"""Adding the documents of a corpus to an index that is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from indexer.building.assemble import Report
from indexer.corpus import Corpus, CorpusRow, Document
from indexer.encoding import encode_documents
from indexer.updates import Updates
from models.encoders.base import Encoder
from models.errors import DataError, InvalidOptionError
from models.nesting import Vectors

APPEND_BATCH_SIZE = 4096


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What was done with a corpus.

    Attributes:
        added: documents whose ids were not there.
        replaced: documents whose ids were.
        rejected: rows turned away.
    """

    added: int
    replaced: int
    rejected: int


def append_corpus(
    corpus: Corpus,
    updates: Updates,
    *,
    batch_size: int = APPEND_BATCH_SIZE,
    turned_away: Callable[[CorpusRow], None] = lambda row: None,
    report: Report = lambda event, facts: None,
) -> AppendResult:
    """Upsert every document of a corpus, batch by batch: each is on disk, and found, before the next begins.

    Interrupted, the same call can be made again: documents that are in already are replaced by themselves.

    Args:
        corpus: where the documents are; of those with the same id the first counts, as in a build.
        updates: to the index.
        batch_size: rows encoded and written together.
        turned_away: given each row that cannot be taken, with the problem in it; it may raise to end here.
        report: told about progress: ``encode`` with rows and rejected.

    Raises:
        InvalidOptionError: ``batch_size`` is under 1.
        DataError: a file of the corpus cannot be read, or no row of the corpus is a document.
        BundleError, ModelError: as :meth:`Updates.upsert`.
    """
    if batch_size < 1:
        raise InvalidOptionError("batch_size", f"batch_size {batch_size}: give at least 1")
    added = replaced = rejected = 0
    first_problem = ""
    seen: set[str] = set()
    rows = corpus.rows()
    report("encode", {"rows": 0, "rejected": 0})
    while batch := list(islice(rows, batch_size)):
        documents, vectors, broken = _encoded(batch, seen, updates.model.encoder)
        done = updates.upsert_encoded(documents, vectors)
        for row in broken:
            first_problem = first_problem or f"{row.source} line {row.line}: {row.problem}"
            turned_away(row)
        added, replaced, rejected = added + done.added, replaced + done.replaced, rejected + len(broken)
        report("encode", {"rows": added + replaced, "rejected": rejected})
    if first_problem and not added + replaced:
        raise DataError(
            f"none of the {rejected} rows is a document; the first: {first_problem}. "
            "Name the fields by --id-field, --text-field, --title-field"
        )
    return AppendResult(added, replaced, rejected)


def _encoded(
    batch: Sequence[CorpusRow], seen: set[str], encoder: Encoder
) -> tuple[list[Document], Vectors, list[CorpusRow]]:
    """Split a batch into documents with their vectors, and rows to turn away; take the ids down in ``seen``."""
    broken = [row for row in batch if row.document is None]
    fresh: list[tuple[CorpusRow, Document]] = []
    for row in batch:
        if row.document is None:
            continue
        if row.document.id in seen:
            broken.append(replace(row, document=None, problem=f"duplicate id {row.document.id!r}"))
        else:
            seen.add(row.document.id)
            fresh.append((row, row.document))
    if not fresh:
        return [], np.zeros((0, encoder.dimension), np.float32), broken
    vectors, problems = encode_documents(encoder, [document for _, document in fresh])
    broken += [replace(row, document=None, problem=why) for (row, _), why in zip(fresh, problems, strict=True) if why]
    good = [place for place, why in enumerate(problems) if not why]
    broken.sort(key=lambda row: (row.place.file, row.place.row))
    return [fresh[place][1] for place in good], vectors[good], broken
