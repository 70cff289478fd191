"""The second half of a build: what is derived from documents and vectors, and the manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.lexical import LEXICAL_FILES, LexicalOptions, write_lexical
from indexer.search.distinct import FILE_NAME as DISTINCT
from indexer.search.distinct import DistinctPrefixes, DistinctRows
from indexer.search.stopping import FILE_NAME as PREFIX_NORMS
from indexer.shortlist import shortlist_type
from indexer.shortlist.base import Blocks, PrefixSource
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import Documents
from indexer.storage.manifest import (
    CorpusFacts,
    LexicalFacts,
    Manifest,
    ModelFacts,
    ShortlistFacts,
    TargetFacts,
    file_facts,
    library_versions,
)
from indexer.storage.resource_errors import storing
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import Storage, StoredVectors

REJECTED = "rejected.jsonl"
_PAGE = 4096
"""Documents read in one go."""

Report = Callable[[str, dict[str, Any]], None]
"""Told what happens: ``encode`` with rows and rejected; ``structure``, ``shortlist`` and ``lexical`` with rows and
total; ``checksums``; ``calibrate`` with rows and total; ``publish`` with generation."""

Choose = Callable[[StoredVectors, DistinctRows], tuple[ShortlistFacts, TargetFacts | None]]
"""Chooses a structure by what is in the index."""


@dataclass(frozen=True, slots=True)
class DeriveOptions:
    """What is derived.

    Attributes:
        dims: the shortlist's size Ds.
        shortlist: name of the structure; ``shortlist_values`` all its build options.
        vectors: how full vectors are stored.
        lexical: which words are indexed, its fields named; none where None.
    """

    dims: int
    shortlist: str
    shortlist_values: dict[str, Any]
    vectors: Storage
    lexical: LexicalOptions | None = None


def derive(
    folder: Path,
    rows: int,
    model: ModelFacts,
    corpus: CorpusFacts,
    options: DeriveOptions,
    report: Report,
    choose: Choose | None = None,
) -> Manifest:
    """Make a generation whole from its documents and vectors.

    Args:
        folder: the generation's, with documents, vectors and the list of rejected rows in it.
        rows: how many documents it has.
        model, corpus: facts for the manifest.
        options: what is derived.
        report: told about progress.
        choose: takes the place of the structure and size of the options.

    Raises:
        BundleStorageError: a file cannot be written.
    """
    stored = StoredVectors.open(folder / VECTORS, rows, model.nesting.dimension)
    distinct = DistinctRows.find(stored)
    with storing(folder / DISTINCT):
        distinct.save(folder / DISTINCT)
    target = None
    facts = ShortlistFacts(kind=options.shortlist, dims=options.dims, options=options.shortlist_values)
    if choose is not None:
        facts, target = choose(stored, distinct)
    _write_prefix_norms(folder / PREFIX_NORMS, stored, facts.dims)
    structure = shortlist_type(facts.kind)
    prefixes = _ReportedPrefixes(DistinctPrefixes(stored, distinct, facts.dims), report)
    shortlist = structure.build(prefixes, structure.options_type(**facts.options))
    with storing(folder / structure.file_name):
        shortlist.save(folder / structure.file_name)
    lexical = None if options.lexical is None else _lexical(folder, rows, options.lexical, report)
    report("checksums", {})
    names = [structure.file_name, VECTORS, DISTINCT, PREFIX_NORMS, DOCUMENTS, REJECTED]
    names += LEXICAL_FILES if lexical else ()
    manifest = Manifest(
        created=datetime.now(UTC),
        model=model,
        dimension=model.nesting.dimension,
        rows=rows,
        vectors=options.vectors,
        shortlist=facts,
        corpus=corpus,
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
            report("lexical", {"rows": start, "total": rows})
            for document in documents.fetch(range(start, min(rows, start + _PAGE))):
                yield document.payload

    with closing(Documents(folder / DOCUMENTS)) as opened, storing(folder / LEXICAL_FILES[0]):
        return write_lexical(folder, payloads(opened), options)


class _ReportedPrefixes:
    """Prefixes whose reading is told to whoever watches the build."""

    def __init__(self, prefixes: PrefixSource, report: Report) -> None:
        self._prefixes, self._report = prefixes, report
        self.rows, self.dims, self.sample = prefixes.rows, prefixes.dims, prefixes.sample

    def blocks(self) -> Blocks:
        """Stream the prefixes; see :meth:`PrefixSource.blocks`."""
        self._report("shortlist", {"rows": 0, "total": self.rows})
        for start, block in self._prefixes.blocks():
            yield start, block
            self._report("shortlist", {"rows": start + len(block), "total": self.rows})


def _write_prefix_norms(path: Path, stored: StoredVectors, dims: int) -> None:
    """Write |x[:Ds]| of each unit row: how much of a row the shortlist sees, which a bound on its full score needs."""
    with path.open("wb") as file:
        for norms in stored.prefix_norms(dims):
            file.write(norms.astype("<f4").tobytes())
