"""Snapshots: a consistent copy of an index in use, with its published generation and its updates."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import BundleCorruptError, BundleError
from indexer.storage.fsync import fsync
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal
from indexer.storage.manifest import FILE_NAME as MANIFEST
from indexer.storage.manifest import Manifest
from indexer.storage.resource_errors import translating_resource_errors
from models.errors import InvalidOptionError

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)
"""Another file system, one without hard links, or too many links of one file."""


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """The content of a snapshot.

    Attributes:
        generation: name of the published generation, of ``files`` files with ``size`` bytes in all.
        linked: whether the files are hard links, which take no space but share any damage of the disk.
        operations: number of updates in the journal.
    """

    generation: str
    files: int
    size: int
    linked: bool
    operations: int


def snapshot_index(path: str | Path, destination: str | Path, *, copy: bool = False) -> SnapshotResult:
    """Copy the published generation of an index and its updates, while the index is searched, updated and built.

    The copy contains every update acknowledged before the call, and each batch completely or not at all. It is verified
    against its checksums before it gets its name. It does not contain the model.

    Args:
        path: the index directory.
        destination: directory to create; an index that can be served.
        copy: copy files even if hard links are possible.

    Raises:
        InvalidOptionError: ``destination`` exists and is not empty.
        BundleError: nothing is published, a file is damaged, or the copy cannot be written.
        OutOfMemoryError: there is not enough memory.
    """
    root, destination = Path(path), Path(destination)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise InvalidOptionError("destination", f"{destination} exists: name a new directory")
    partial = destination.with_name(destination.name + ".partial")
    generations = Generations(root)
    with translating_resource_errors(destination, "take the snapshot on a machine with more"):
        try:
            while True:
                name = generations.require_published()
                try:
                    result = _copy(generations, name, partial, copy)
                    break
                except (BundleError, FileNotFoundError):
                    # Another generation may have been published, and this one deleted, since its name was read.
                    if generations.published() == name:
                        raise
            partial.rename(destination)
            fsync(destination.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return result


def _copy(generations: Generations, name: str, partial: Path, copy: bool) -> SnapshotResult:
    shutil.rmtree(partial, ignore_errors=True)
    copied = Generations(partial)
    source, folder = generations.path(name), copied.path(name)
    folder.mkdir(parents=True)
    manifest = Manifest.read(source)
    linked = not copy
    for file in (*manifest.files, MANIFEST):
        linked = _place(source / file, folder / file, linked)
    operations = _copy_journal(generations, name, partial)
    # From the copy: a calibration may have replaced the original meanwhile.
    manifest = Manifest.read(folder)
    manifest.check(folder)
    copied.publish(name)
    size = sum(facts.size for facts in manifest.files.values())
    return SnapshotResult(name, len(manifest.files), size, linked, operations)


def _place(source: Path, target: Path, link: bool) -> bool:
    """Link or copy a file; return whether to try a link for the next one."""
    if link:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return True
    shutil.copyfile(source, target)
    return False


def _copy_journal(generations: Generations, name: str, partial: Path) -> int:
    """Copy the journal as of one moment; return the number of operations that apply to the generation."""
    with closing(Journal(generations.root)) as journal, closing(Journal(partial)) as copied:
        if not journal.exists():
            return 0
        journal.copy_to(partial)
        # Operations of a generation are pruned only after its manifest is deleted: the copy has them all.
        if not (generations.path(name) / MANIFEST).exists():
            raise BundleCorruptError(f"generation {name} of {generations.root} was deleted")
        copied.verify()
        return sum(map(len, copied.pages(copied.start_of(name))))
