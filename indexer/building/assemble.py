"""The second half of a build and of a compaction: everything derived from documents and vectors, the manifest last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from indexer.lexical import LEXICAL_FILES, LexicalOptions, write_lexical
from indexer.progress import BuildingLexicalIndex, BuildingShortlist, ComputingChecksums, Report
from indexer.search.distinct import FILE_NAME as DISTINCT
from indexer.search.distinct import DistinctPrefixes, DistinctRows
from indexer.search.stopping import FILE_NAME as PREFIX_NORMS
from indexer.shortlist import shortlist_type
from indexer.shortlist.base import Blocks, PrefixSource
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import REJECTED, Documents
from indexer.storage.manifest import (
    CorpusFacts,
    LexicalFacts,
    Manifest,
    ModelFacts,
    OptionFacts,
    ShortlistFacts,
    TargetFacts,
    file_facts,
    library_versions,
)
from indexer.storage.resource_errors import translating_write_errors
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import Storage, StoredVectors

_PAGE = 4096
"""Documents read together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFacts:
    """What is known of a generation before its shortlist structure is chosen.

    Attributes:
        index_id: of the index.
        model, corpus, options: for the manifest.
        vectors: storage type of the full vectors.
        lexical: what to index for lexical search, with its fields named; no lexical index is built if None.
    """

    index_id: UUID
    model: ModelFacts
    corpus: CorpusFacts
    options: OptionFacts | None
    vectors: Storage
    lexical: LexicalOptions | None


def prepare(folder: Path, rows: int, dimension: int) -> tuple[StoredVectors, DistinctRows]:
    """Open the vectors of a new generation, and find and save which of them are equal.

    Args:
        folder: of the generation, with the complete vectors in it.
        rows: number of vectors.
        dimension: their full dimension D.

    Raises:
        BundleStorageError: a file cannot be written.
        BundleCorruptError: the vectors have another shape.
    """
    stored = StoredVectors.open(folder / VECTORS, rows, dimension)
    distinct = DistinctRows.find(stored)
    with translating_write_errors(folder / DISTINCT):
        distinct.save(folder / DISTINCT)
    return stored, distinct


def assemble(
    folder: Path,
    stored: StoredVectors,
    distinct: DistinctRows,
    facts: GenerationFacts,
    *,
    structure: ShortlistFacts,
    target: TargetFacts | None,
    report: Report,
) -> Manifest:
    """Complete a generation: build its shortlist structure and lexical index and write its manifest.

    Args:
        folder: of the generation, with documents, vectors and the list of rejected rows in it.
        stored, distinct: from :func:`prepare`.
        facts: for the manifest.
        structure: the shortlist structure to build.
        target: what it was chosen for.
        report: receives progress events.

    Raises:
        BundleStorageError: a file cannot be written.
    """
    rows = len(stored)
    _write_prefix_norms(folder / PREFIX_NORMS, stored, structure.dims)
    maker = shortlist_type(structure.kind)
    prefixes = _ReportedPrefixes(DistinctPrefixes(stored, distinct, structure.dims), report)
    shortlist = maker.build(prefixes, maker.options_type(**structure.options))
    with translating_write_errors(folder / maker.file_name):
        shortlist.save(folder / maker.file_name)
    lexical = None if facts.lexical is None else _lexical(folder, rows, facts.lexical, report)
    report(ComputingChecksums())
    names = [maker.file_name, VECTORS, DISTINCT, PREFIX_NORMS, DOCUMENTS, REJECTED]
    names += LEXICAL_FILES if lexical else ()
    manifest = Manifest(
        index_id=facts.index_id,
        created=datetime.now(UTC),
        model=facts.model,
        dimension=stored.dimension,
        rows=rows,
        documents=rows,
        vectors=facts.vectors,
        shortlist=structure,
        corpus=facts.corpus,
        options=facts.options,
        versions=library_versions(),
        files={name: file_facts(folder / name) for name in names},
        target=target,
        lexical=lexical,
    )
    manifest.write(folder)
    return manifest


def _lexical(folder: Path, rows: int, options: LexicalOptions, report: Report) -> LexicalFacts:
    def payloads(documents: Documents) -> Iterator[dict[str, Any]]:
        for start in range(0, rows, _PAGE):
            report(BuildingLexicalIndex(done=start, total=rows))
            for document in documents.fetch(range(start, min(rows, start + _PAGE))):
                yield document.payload

    with closing(Documents(folder / DOCUMENTS)) as opened, translating_write_errors(folder / LEXICAL_FILES[0]):
        return write_lexical(folder, payloads(opened), options)


class _ReportedPrefixes:
    """Prefixes that report how many of them were read."""

    def __init__(self, prefixes: PrefixSource, report: Report) -> None:
        self._prefixes, self._report = prefixes, report
        self.rows, self.dims, self.sample = prefixes.rows, prefixes.dims, prefixes.sample

    def blocks(self) -> Blocks:
        """Stream the prefixes; see :meth:`PrefixSource.blocks`."""
        self._report(BuildingShortlist(done=0, total=self.rows))
        for start, block in self._prefixes.blocks():
            yield start, block
            self._report(BuildingShortlist(done=start + len(block), total=self.rows))


def _write_prefix_norms(path: Path, stored: StoredVectors, dims: int) -> None:
    """Write |x[:Ds]| of each unit row, from which a bound on its full score follows (``indexer.search.stopping``)."""
    with path.open("wb") as file:
        for norms in stored.prefix_norms(dims):
            file.write(norms.astype("<f4").tobytes())
