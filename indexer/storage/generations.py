"""The directory of an index: numbered generations, one of them published, and one journal of updates for all.

``INDEX/CURRENT`` names the published generation. It is replaced atomically, after every file of the generation has been
synced: a kill leaves either the old or the new generation published, never a part of one. An interrupted build
leaves a generation marked with ``build.json``, which the next build resumes or discards; an interrupted compaction
leaves files in ``generations/aside``, which the next one discards.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from indexer.errors import BundleBusyError, BundleCorruptError, BundleError, BundleNotFoundError, BundleStorageError
from indexer.storage.fsync import fsync
from indexer.storage.journal import Journal
from indexer.storage.manifest import FILE_NAME as MANIFEST
from indexer.storage.manifest import Manifest

BUILD_MARK = "build.json"
"""Present in a generation while it is built: its corpus, model and options. Removed when it is published."""


class Generations:
    """The generations ``INDEX/generations/000001``, ``000002``, … of an index."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._folder = self.root / "generations"
        self._current = self.root / "CURRENT"

    def path(self, name: str) -> Path:
        """Return the folder of a generation."""
        return self._folder / name

    def published(self) -> str | None:
        """Return the name of the published generation, or None.

        Raises:
            BundleCorruptError: CURRENT does not hold the number of a generation.
        """
        try:
            name = self._current.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        if not name.isdecimal():
            raise BundleCorruptError(
                f"{self._current} holds {name!r:.60}, not the number of a generation{self._rollback_advice()}"
            )
        return name

    def require_published(self) -> str:
        """Return the name of the published generation.

        Raises:
            BundleNotFoundError: nothing is published.
        """
        name = self.published()
        if name is None:
            raise BundleNotFoundError(
                f"no index is published at {self.root}: build one with mrl index build CORPUS --out {self.root}"
                f"{self._rollback_advice()}"
            )
        return name

    def index_id(self) -> UUID:
        """Return the id of the index: that of its newest generation that has one, or a new one."""
        for name in reversed(self.complete()):
            with contextlib.suppress(BundleError):  # a damaged generation may stand beside others
                found = Manifest.read_alone(self.path(name)).index_id
                if found is not None:
                    return found
        return uuid4()

    def identified(self, manifest: Manifest) -> Manifest:
        """Return a manifest with the id of the index, which manifests of format 2 lack."""
        return manifest if manifest.index_id else manifest.model_copy(update={"index_id": self.index_id()})

    def complete(self) -> list[str]:
        """Return the names of the complete generations, oldest first."""
        return [name for name in self._names() if (self.path(name) / MANIFEST).exists()]

    def in_progress(self) -> str | None:
        """Return the name of the newest generation with a build mark, or None."""
        return next((name for name in reversed(self._names()) if (self.path(name) / BUILD_MARK).exists()), None)

    def start(self) -> str:
        """Create a generation, to which the updates from now on apply, and return its name."""
        name = self._next_name()
        with self._journal() as journal:
            journal.start(name)
        self.path(name).mkdir(parents=True)
        return name

    def start_aside(self) -> Path:
        """Create an unnamed folder for a new generation, discarding what an interrupted compaction left."""
        self.drop_aside()
        folder = self._folder / "aside"
        folder.mkdir(parents=True)
        return folder

    def drop_aside(self) -> None:
        """Delete the unnamed folder."""
        shutil.rmtree(self._folder / "aside", ignore_errors=True)

    def adopt(self, folder: Path, updates: int) -> str:
        """Turn a complete folder into a generation, and return its name.

        Args:
            folder: from :meth:`start_aside`.
            updates: sequence number of the last update it contains.
        """
        name = self._next_name()
        _sync_folder(folder)
        with self._journal() as journal:
            journal.start(name, updates)
        folder.rename(self.path(name))
        fsync(self._folder)
        return name

    def publish(self, name: str) -> None:
        """Publish a complete generation, after syncing all its files."""
        folder = self.path(name)
        _sync_folder(folder)
        for path in (self._folder, self.root):
            fsync(path)
        partial = self.root / "CURRENT.partial"
        partial.write_text(name + "\n", encoding="ascii")
        fsync(partial)
        partial.replace(self._current)
        fsync(self.root)
        (folder / BUILD_MARK).unlink(missing_ok=True)

    def rollback(self, to: str | None = None) -> tuple[str, str]:
        """Publish the generation before the published one, or the one named.

        Updates are not undone: searches see the documents of the generation with all updates since it was built.

        Args:
            to: name or number of a complete generation.

        Returns:
            the names of the previously and the now published generation. The former is "none" if ``to`` is given and
            CURRENT is missing or damaged.

        Raises:
            BundleNotFoundError: nothing is published.
            BundleError: there is no such complete generation, a file of it is missing or has the wrong size, or the
                directory cannot be written.
        """
        try:
            now = self.require_published()
        except BundleError:
            if to is None:
                raise
            now = "none"
        if to is None:
            to = next((name for name in reversed(self.complete()) if int(name) < int(now)), None)
        if to is None:
            raise BundleError(f"{self.root} has no earlier generation; published is {now}")
        target = self.named(to)
        Manifest.read(self.path(target))
        try:
            self.publish(target)
        except OSError as error:
            raise BundleStorageError(f"cannot change {self.root}: {error}") from error
        return now, target

    def named(self, name: str) -> str:
        """Return the full name of a complete generation, given by name or number.

        Raises:
            BundleError: there is no such complete generation.
        """
        full = f"{int(name):06d}" if name.isdecimal() else name
        if full not in self.complete():
            raise BundleError(
                f"{self.root} has no complete generation {name!r}; complete are {', '.join(self.complete()) or 'none'}"
            )
        return full

    def discard(self, name: str) -> None:
        """Delete a generation.

        Raises:
            BundleError: it is published.
        """
        if name == self.published():
            raise BundleError(f"generation {name} is published and is not deleted")
        # The manifest first: without it a half-deleted generation does not count as complete.
        (self.path(name) / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.path(name))

    def prune(self, keep: int) -> list[str]:
        """Delete the oldest complete generations before the published one, so that ``keep`` remain.

        Updates that all remaining generations contain are removed from the journal.

        Returns:
            the names of the deleted generations.
        """
        published = self.published()
        old = [name for name in self.complete() if name != published and int(name) < int(published or 0)]
        deleted = old[: max(0, len(old) - (keep - 1))]
        for name in deleted:
            self.discard(name)
        names = self._names()
        with self._journal() as journal:
            journal.prune(min(map(journal.start_of, names), default=0), names)
        return deleted

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of builds, compactions and calibrations; it is released when the process ends, however it ends.

        Raises:
            BundleBusyError: another process holds it.
            BundleStorageError: the directory cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
        except OSError as error:
            raise BundleStorageError(f"cannot change {self.root}: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BundleBusyError(f"another process is changing {self.root}: wait until it has finished") from None
            yield

    @contextlib.contextmanager
    def _journal(self) -> Iterator[Journal]:
        journal = Journal(self.root)
        try:
            yield journal
        finally:
            journal.close()

    def _rollback_advice(self) -> str:
        """Return the end of an error message that names the generations to go back to."""
        complete = self.complete()
        if not complete:
            return ""
        names = ", ".join(complete)
        return f"; complete are {names}: mrl index rollback {self.root} --to {complete[-1]} publishes the last"

    def _next_name(self) -> str:
        return f"{max(map(int, self._names()), default=0) + 1:06d}"

    def _names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted((path.name for path in self._folder.iterdir() if path.name.isdecimal()), key=int)


def _sync_folder(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        fsync(path)
