"""Errors of disk and memory, translated into those of ``indexer.errors``, which say what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from indexer.errors import BundleStorageError, OutOfMemoryError
from indexer.storage.journal_file import as_bundle_error

_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def out_of_memory_reading(path: Path) -> OutOfMemoryError:
    """Return the error for a file that needs more memory than there is."""
    return OutOfMemoryError(
        f"there is not enough memory to read {path}, of {path.stat().st_size} bytes: give it more, or build a smaller "
        "structure (--dims, --memory); mrl index verify checks whether it is damaged instead"
    )


@contextlib.contextmanager
def translating_write_errors(path: Path) -> Iterator[None]:
    """Translate any write error of a third-party library into BundleStorageError.

    Args:
        path: the file that is written, for the message.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise BundleStorageError(f"cannot write {path}: {error}") from error


@contextlib.contextmanager
def translating_resource_errors(root: Path, memory_advice: str) -> Iterator[None]:
    """Translate the errors of a full disk and of too little memory.

    Args:
        root: the index directory.
        memory_advice: how to do with less memory, for the message.

    Raises:
        BundleStorageError: the disk is full, read-only or failing.
        OutOfMemoryError: there is not enough memory.
    """
    try:
        with as_bundle_error(root):
            yield
    except (OSError, BundleStorageError) as error:
        if isinstance(error, OSError) and error.errno not in _REFUSALS:
            raise
        message = str(error) if isinstance(error, BundleStorageError) else f"cannot write {root}: {error}"
        raise BundleStorageError(
            f"{message}. Nothing that was published or acknowledged is lost: free some space, or make it writable, and "
            "run the same command again"
        ) from error
    except OutOfMemoryError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(
            f"there is not enough memory ({str(error) or 'none is left'}). Nothing that was published or acknowledged "
            f"is lost: {memory_advice}"
        ) from error
