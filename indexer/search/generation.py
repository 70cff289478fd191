"""Opening the files of one generation and verifying them against its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from indexer.errors import BundleCorruptError
from indexer.lexical import LexicalIndex
from indexer.search.distinct import FILE_NAME as DISTINCT
from indexer.search.distinct import DistinctRows
from indexer.search.ranker import Ranker
from indexer.search.stopping import FILE_NAME as PREFIX_NORMS
from indexer.search.stopping import PrefixNorms
from indexer.shortlist import KINDS, require_available, shortlist_type
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import REJECTED, Documents
from indexer.storage.manifest import Manifest
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import StoredVectors
from models.nesting import truncate

Verify = Literal["sizes", "loaded", "all"]
"""Files whose checksums are verified on opening: none, those read into memory, or all. Sizes always are."""
_READ_LATER = {VECTORS, DOCUMENTS, REJECTED}
"""Files that are not loaded but read by searches, from disk or the page cache."""


class OpenedGeneration:
    """An opened generation; immutable.

    Attributes:
        path, manifest, shortlist, vectors, distinct, documents: its parts.
        ranker: finds rows by vector.
        lexical: finds rows by words; None if the generation was built without.
    """

    def __init__(self, path: Path, verify: Verify = "loaded") -> None:
        """Open every file.

        Args:
            path: the generation's directory.
            verify: which files to verify against their checksums first. Sizes always are.

        Raises:
            BundleError: a file is missing, unreadable, of the wrong size or damaged, or the format is not supported.
            InvalidOptionError: this machine cannot run the generation's structure; the message names alternatives.
            OutOfMemoryError: there is not enough memory for the structure.
        """
        self.path, self.manifest = path, Manifest.read(path)
        kind = self.manifest.shortlist.kind
        if kind not in KINDS:
            raise BundleCorruptError(f"{path}: unknown shortlist {kind!r}; known are {', '.join(KINDS)}")
        require_available(kind, build=False)
        if verify != "sizes":
            # Before parsing: damaged links and lengths may lead to worse than an error.
            names = [name for name in self.manifest.files if verify == "all" or name not in _READ_LATER]
            self.manifest.check(path, names)
        structure = shortlist_type(kind)
        self.shortlist = structure.load(path / structure.file_name)
        self.vectors = StoredVectors.open(path / VECTORS, self.manifest.rows, self.manifest.dimension)
        self.distinct = DistinctRows.load(path / DISTINCT)
        norms = PrefixNorms.open(path / PREFIX_NORMS, self.manifest.rows, self.manifest.shortlist.dims)
        self.ranker = Ranker(self.vectors, self.shortlist, self.distinct, norms)
        self.documents = Documents(path / DOCUMENTS)
        facts = self.manifest.lexical
        self.lexical = None if facts is None else LexicalIndex(path, self.manifest.rows, facts)
        # Compiled code is loaded on its first call: do that now, not during the first search.
        StoredVectors(self.vectors.stored[:1]).nearest(truncate(np.zeros((1, 1)), 1), 1, 1)

    def close(self) -> None:
        """Close the document file."""
        self.documents.close()
