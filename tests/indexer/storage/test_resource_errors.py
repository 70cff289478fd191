import errno
import sqlite3

import pytest
from safetensors import SafetensorError

from indexer.errors import BundleBusyError, BundleCorruptError, BundleStorageError, OutOfMemoryError
from indexer.storage.resource_errors import (
    out_of_memory_reading,
    translating_resource_errors,
    translating_write_errors,
)


def translate(error, root):
    with translating_resource_errors(root, "use less"):
        raise error


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
def test_what_the_disk_refuses_is_a_storage_error_with_the_way_out(code, tmp_path):
    with pytest.raises(
        BundleStorageError, match=r"cannot write .*Nothing that was published .* free some space"
    ) as found:
        translate(OSError(code, "refused"), tmp_path)
    assert found.value.__cause__.errno == code
    with pytest.raises(BundleStorageError, match=r"cannot write it\. Nothing that was published"):
        translate(BundleStorageError("cannot write it"), tmp_path)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "missing"), ValueError("a bug"), KeyboardInterrupt()], ids=repr
)
def test_other_errors_pass_unchanged(error, tmp_path):
    with pytest.raises(type(error)) as found:
        translate(error, tmp_path)
    assert found.value is error


def test_errors_of_sqlite_are_translated_too(tmp_path):
    with pytest.raises(BundleCorruptError, match="is damaged: file is not a database"):
        translate(sqlite3.DatabaseError("file is not a database"), tmp_path)
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorname = "SQLITE_BUSY"
    with pytest.raises(BundleBusyError, match="other processes have been writing"):
        translate(busy, tmp_path)


def test_too_little_memory_says_what_takes_less(tmp_path):
    with pytest.raises(OutOfMemoryError, match=r"not enough memory \(none is left\)\. Nothing .*: use less"):
        translate(MemoryError(), tmp_path)
    with pytest.raises(OutOfMemoryError, match=r"not enough memory \(cannot allocate 5 GB\)"):
        translate(MemoryError("cannot allocate 5 GB"), tmp_path)
    own = OutOfMemoryError("already explained")
    with pytest.raises(OutOfMemoryError) as found:
        translate(own, tmp_path)
    assert found.value is own


def test_reading_names_the_file_and_its_size(tmp_path):
    (tmp_path / "shortlist.faiss").write_bytes(b"12345")
    assert "shortlist.faiss, of 5 bytes" in str(out_of_memory_reading(tmp_path / "shortlist.faiss"))


@pytest.mark.parametrize("error", [RuntimeError("FAISS"), SafetensorError("tensors"), OSError("disk")], ids=repr)
def test_write_errors_of_libraries_are_storage_errors(error, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(BundleStorageError, match=rf"cannot write .*file: {error}"), translating_write_errors(path):
        raise error
    with pytest.raises(ValueError, match="a bug"), translating_write_errors(path):
        raise ValueError("a bug")
