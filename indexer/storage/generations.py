"""The directory of an index: numbered generations, one of them published, and one journal of updates for all."""

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
"""Present in a generation that is being built: what it is built from. Removed once it is published."""


class Generations:
    """``INDEX/CURRENT`` names the published one of ``INDEX/generations/000001``, ``000002``, …"""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._folder = self.root / "generations"
        self._current = self.root / "CURRENT"

    def path(self, name: str) -> Path:
        """Return a generation's folder."""
        return self._folder / name

    def published(self) -> str | None:
        """Return the published generation's name; None where none is.

        Raises:
            BundleCorruptError: CURRENT names something that is not a generation.
        """
        try:
            name = self._current.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        if not name.isdecimal():
            raise BundleCorruptError(
                f"{self._current} holds {name!r:.60}, not the number of a generation{self._way_out()}"
            )
        return name

    def require_published(self) -> str:
        """Return the published generation's name.

        Raises:
            BundleNotFoundError: there is none.
        """
        name = self.published()
        if name is None:
            raise BundleNotFoundError(
                f"no index is published at {self.root}: build one with mrl index build CORPUS --out {self.root}"
                f"{self._way_out()}"
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

    def complete(self) -> list[str]:
        """Names of the generations that are whole, oldest first."""
        return [name for name in self._names() if (self.path(name) / MANIFEST).exists()]

    def in_progress(self) -> str | None:
        """Name of the newest generation that still carries its build mark."""
        return next((name for name in reversed(self._names()) if (self.path(name) / BUILD_MARK).exists()), None)

    def start(self) -> str:
        """Make the folder of a new generation, which will see the updates from now on."""
        name = self._next_name()
        with self._journal() as journal:
            journal.start(name)
        self.path(name).mkdir(parents=True)
        return name

    def start_aside(self) -> Path:
        """Make the folder of a new generation that does without what an interrupted run left."""
        self.drop_aside()
        folder = self._folder / "aside"
        folder.mkdir(parents=True)
        return folder

    def drop_aside(self) -> None:
        """Delete what was made aside and has no name."""
        shutil.rmtree(self._folder / "aside", ignore_errors=True)

    def adopt(self, folder: Path, updates: int) -> str:
        """Give a whole generation that was made aside its name.

        Args:
            folder: from :meth:`start_aside`.
            updates: the number of the last update that is in it.
        """
        name = self._next_name()
        _sync_folder(folder)
        with self._journal() as journal:
            journal.start(name, updates)
        folder.rename(self.path(name))
        fsync(self._folder)
        return name

    def publish(self, name: str) -> None:
        """Make a whole generation the published one: everything in it reaches the disk before its name does."""
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
        """Publish an earlier generation: the one before the published, or the one named.

        Updates are not taken back: the generation shows its own documents with all updates since it was made.

        Returns:
            The names of the generation that was and of the one that is now published; where CURRENT is missing or
            damaged and ``to`` is given, "none" was.

        Raises:
            BundleNotFoundError: nothing is published.
            BundleError: there is no such whole generation, a file of it is missing or has the wrong size, or nothing
                can be written.
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
        """Return the name, in full, of a whole generation that may be given by its number.

        Raises:
            BundleError: there is no such whole generation.
        """
        full = f"{int(name):06d}" if name.isdecimal() else name
        if full not in self.complete():
            raise BundleError(
                f"{self.root} has no whole generation {name!r}; whole are {', '.join(self.complete()) or 'none'}"
            )
        return full

    def discard(self, name: str) -> None:
        """Delete a generation that is not published."""
        if name == self.published():
            raise BundleError(f"generation {name} is published and is not deleted")
        # The manifest goes first: without it a half-deleted generation cannot be taken for a whole one.
        (self.path(name) / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.path(name))

    def prune(self, keep: int) -> list[str]:
        """Delete the oldest whole generations, so that ``keep`` remain, the published one always among them.

        Updates that every generation left has in it are forgotten.
        """
        published = self.published()
        old = [name for name in self.complete() if name != published and int(name) < int(published or 0)]
        gone = old[: max(0, len(old) - (keep - 1))]
        for name in gone:
            self.discard(name)
        names = self._names()
        with self._journal() as journal:
            journal.prune(min(map(journal.start_of, names), default=0), names)
        return gone

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the index for building; the lock ends with the process.

        Raises:
            BundleBusyError: another process holds it.
            BundleStorageError: nothing can be written there.
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
                raise BundleBusyError(f"another process is changing {self.root}: wait until it is done") from None
            yield

    @contextlib.contextmanager
    def _journal(self) -> Iterator[Journal]:
        journal = Journal(self.root)
        try:
            yield journal
        finally:
            journal.close()

    def _way_out(self) -> str:
        """Name what could be published, for a message."""
        whole = self.complete()
        if not whole:
            return ""
        return f"; whole are {', '.join(whole)}: mrl index rollback {self.root} --to {whole[-1]} publishes the last"

    def _next_name(self) -> str:
        return f"{max(map(int, self._names()), default=0) + 1:06d}"

    def _names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted((path.name for path in self._folder.iterdir() if path.name.isdecimal()), key=int)


def _sync_folder(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        fsync(path)
