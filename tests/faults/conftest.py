"""Indexes to be damaged, limits of this process that are real ones, and the command."""

import ctypes
import gc
import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.conftest import mrl as mrl


@pytest.fixture
def root(built, tmp_path):
    """An index of this test's own, as the command builds it: 1,000 documents, and a corpus beside it."""
    shutil.copy(built.parent / "corpus.jsonl", tmp_path / "corpus.jsonl")
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


@contextmanager
def _limited(kind, number):
    """Lower a limit of this process, for what runs in the block."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def full_disk(size):
    """Let no file grow beyond a size: writing more fails, as on a full disk."""
    return _limited(resource.RLIMIT_FSIZE, size)


def little_memory(left):
    """Leave this process so many bytes of addresses more than it has.

    What earlier tests left to be freed is freed first: it would be room.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return _limited(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + left)
