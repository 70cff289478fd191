"""The exceptions of the project.

AdaptiveRetrievalError
├── InvalidOptionError        an option or argument outside what is allowed
├── DataError                 a file of pairs, rows, queries or judgements cannot be used
│   └── ImageError                an image cannot be read
├── RejectedRowError          a row of a file cannot be used; the other rows can
├── ModelError                a model cannot be found or loaded
├── TrainingError             a training run cannot start, resume or continue
├── OptionalDependencyError   an optional package is not installed
└── BundleError, SearchError … see ``indexer.errors``

Every message gives the value, what is allowed and, if possible, the next step.
"""

from __future__ import annotations

from pathlib import Path


class AdaptiveRetrievalError(Exception):
    """Base of all errors that this project raises deliberately."""


class InvalidOptionError(AdaptiveRetrievalError, ValueError):
    """An option or argument is invalid.

    Attributes:
        param: name of the option, for front ends to point at.
    """

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class DataError(AdaptiveRetrievalError):
    """A file of pairs, rows, queries or judgements cannot be used."""


class ImageError(DataError):
    """An image cannot be read.

    Attributes:
        reason: the problem, without the name of the file.
    """

    def __init__(self, source: str | Path | bytes, reason: str) -> None:
        name = f"of {len(source)} bytes" if isinstance(source, bytes) else source
        super().__init__(f"image {name}: {reason}")
        self.reason = reason


class RejectedRowError(AdaptiveRetrievalError):
    """A row cannot be used; the message is the reason, without the row's position."""


class ModelError(AdaptiveRetrievalError):
    """A model cannot be found or loaded."""


class TrainingError(AdaptiveRetrievalError):
    """A training run cannot start, resume or continue."""


class OptionalDependencyError(AdaptiveRetrievalError, ImportError):
    """A feature needs an optional package that is not installed.

    Attributes:
        package: the package.
        feature: what needs it.
        install: the command that installs it.
    """

    def __init__(self, package: str, feature: str, install: str) -> None:
        super().__init__(f"{feature} needs the package {package}, which is not installed: {install}")
        self.package, self.feature, self.install = package, feature, install
