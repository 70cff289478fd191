import os

import pytest

from indexer.storage.fsync import fsync


def test_files_and_folders_are_synced_and_closed(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("content")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((descriptor, os.fstat(descriptor).st_ino)))
    for path in (file, tmp_path):
        fsync(path)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(synced[-1][0])
    assert [inode for _, inode in synced] == [file.stat().st_ino, tmp_path.stat().st_ino]


def test_a_failing_disk_is_not_ignored(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output error"):
        fsync(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync(tmp_path / "missing")
