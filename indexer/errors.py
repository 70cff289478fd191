"""The exceptions of ``indexer``.

AdaptiveRetrievalError (models.errors)
├── BundleError            an index directory cannot be used
│   ├── BundleNotFoundError    no published index at the path
│   ├── BundleFormatError      unsupported format version, or unreadable manifest
│   ├── BundleCorruptError     a file is missing or does not match the manifest
│   ├── BundleBusyError        another process is changing the index
│   ├── BundleStorageError     a write failed: the disk is full, read-only or failing
│   ├── ModelMismatchError     the encoder is not the one the index was built with
│   └── PrunedError            journal entries a reader still needs were compacted away
├── BuildError             a build cannot start or continue
├── RejectedRowError       (models.errors) a row of the corpus is not a document
└── OutOfMemoryError       not enough memory to build or open an index
"""

from __future__ import annotations

from models.errors import AdaptiveRetrievalError
from models.errors import RejectedRowError as RejectedRowError


class BundleError(AdaptiveRetrievalError):
    """An index directory cannot be used."""


class BundleNotFoundError(BundleError):
    """There is no published index at the path."""


class BundleFormatError(BundleError):
    """The index has an unsupported format version, or its manifest is unreadable."""


class BundleCorruptError(BundleError):
    """A file of the index is missing or does not match the manifest."""


class BundleBusyError(BundleError):
    """Another process is changing this index: a build, a compaction, a calibration, or a long write to its journal."""


class BundleStorageError(BundleError):
    """A write failed because the disk is full, read-only or failing. Acknowledged data is unaffected."""


class ModelMismatchError(BundleError):
    """The encoder is not the one the index was built with."""


class PrunedError(BundleError):
    """Journal entries that a reader has not seen were compacted into a later generation and removed."""


class BuildError(AdaptiveRetrievalError):
    """A build cannot start or continue."""


class OutOfMemoryError(AdaptiveRetrievalError, MemoryError):
    """There is not enough memory to build or open an index."""
