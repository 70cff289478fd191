"""What can go wrong with an index.

AdaptiveRetrievalError (models.errors)
├── OutOfMemoryError       there is not enough memory to build or open
├── BundleError            an index directory cannot be used
│   ├── BundleNotFoundError    nothing published there
│   ├── BundleFormatError      written by another format version, or its manifest is unreadable
│   ├── BundleCorruptError     a file is missing or differs from what the manifest says
│   ├── BundleBusyError        another builder holds it
│   ├── BundleStorageError     what is to be written cannot be: the disk is full, read-only or failing
│   ├── PrunedError            updates that a reader has not seen were folded into a later generation
│   └── ModelMismatchError     the encoder is not the one the index was built with
└── BuildError             a build cannot start or go on
"""

from __future__ import annotations

from models.errors import AdaptiveRetrievalError


class BundleError(AdaptiveRetrievalError):
    """An index directory cannot be used."""


class BundleNotFoundError(BundleError):
    """No published index at that path."""


class BundleFormatError(BundleError):
    """The index was written by another format version, or its manifest is unreadable."""


class BundleCorruptError(BundleError):
    """A file of the index is missing or differs from what the manifest says."""


class BundleBusyError(BundleError):
    """Another process is building into this index."""


class BundleStorageError(BundleError):
    """Nothing can be written: the disk is full, read-only or failing. What was acknowledged before is not touched."""


class ModelMismatchError(BundleError):
    """The encoder is not the one the index was built with."""


class BuildError(AdaptiveRetrievalError):
    """A build cannot start or go on."""
