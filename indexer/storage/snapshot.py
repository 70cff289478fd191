"""A copy of an index that is in use: its published generation and its updates, as they are at one moment."""

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
from indexer.storage.resource_errors import told_of
from models.errors import InvalidOptionError

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)
"""Another file system, or one that knows no links or has no more of them for this file."""


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What was copied.

    Attributes:
        generation: the published one, of ``files`` files with ``size`` bytes.
        linked: whether its files are links to the index's own, so that they take no room, and a damage of the disk
            damages both.
        operations: updates in the journal.
    """

    generation: str
    files: int
    size: int
    linked: bool
    operations: int


def snapshot_index(path: Path | str, destination: Path | str, *, copy: bool = False) -> SnapshotResult:
    """Copy the published generation of an index and its updates, while the index is searched, changed and built.

    Every update that was acknowledged before the call is in the copy, and each batch is in it whole or not at all. It
    is compared with its checksums before it has its name. The model is not in it: an index names its model.

    Args:
        path: the index directory.
        destination: the copy's, made by this; an index that can be served as it is.
        copy: copy files also where they could be linked.

    Raises:
        InvalidOptionError: there is something at ``destination``.
        BundleError: nothing is published, a file is damaged, or the copy cannot be written.
    """
    root, destination = Path(path), Path(destination)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise InvalidOptionError("destination", f"{destination} exists already: name a directory that does not")
    partial = destination.with_name(destination.name + ".partial")
    generations = Generations(root)
    with told_of(destination, "snapshot where there is more of it"):
        try:
            while True:
                name = generations.require_published()
                try:
                    result = _copy(generations, name, partial, copy)
                    break
                except (BundleError, FileNotFoundError):
                    # It may have been replaced, and deleted, since its name was read.
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
    # Of the copy: plans may have been calibrated, and the manifest replaced, meanwhile.
    manifest = Manifest.read(folder)
    manifest.check(folder)
    copied.publish(name)
    size = sum(facts.size for facts in manifest.files.values())
    return SnapshotResult(name, len(manifest.files), size, linked, operations)


def _place(source: Path, target: Path, link: bool) -> bool:
    """Link or copy a file; return whether the next is to be linked."""
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
    """Copy the journal as it is after some operation; return how many of the generation's are in it."""
    with closing(Journal(generations.root)) as journal, closing(Journal(partial)) as copied:
        if not journal.exists():
            return 0
        journal.copy_to(partial)
        # While this is there, what belongs to it has not been taken out of the journal. So it was there before.
        if not (generations.path(name) / MANIFEST).exists():
            raise BundleCorruptError(f"generation {name} of {generations.root} is gone")
        copied.verify()
        return sum(map(len, copied.pages(copied.start_of(name))))
