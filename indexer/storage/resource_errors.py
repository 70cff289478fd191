"""What disk and memory refuse, turned into one error that says what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from indexer.errors import BundleStorageError, OutOfMemoryError
from indexer.storage.journal_file import as_bundle_error

_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def not_read(path: Path) -> OutOfMemoryError:
    """Return the error for a file that asks for more memory than there is."""
    return OutOfMemoryError(
        f"there is not enough memory to read {path}, of {path.stat().st_size} bytes: give it more, or build a smaller "
        "structure (--dims, --memory); mrl index verify tells whether it is damaged instead"
    )


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Run a block that has a library write a file: what it raises then is about the disk, whatever it calls it.

    Raises:
        BundleStorageError: it could not be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise BundleStorageError(f"cannot write {path}: {error}") from error


@contextlib.contextmanager
def told_of(root: Path, smaller: str) -> Iterator[None]:
    """Run a block that writes into an index.

    Args:
        root: the index directory.
        smaller: what takes less memory, for the message.

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
        told = str(error) if isinstance(error, BundleStorageError) else f"cannot write {root}: {error}"
        raise BundleStorageError(
            f"{told}. Nothing that was published or acknowledged is lost: make room, or make it writable, and give the "
            "same command again"
        ) from error
    except OutOfMemoryError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(
            f"there is not enough memory ({str(error) or 'none is left'}). Nothing that was published or acknowledged "
            f"is lost: {smaller}"
        ) from error
