"""Keeping the published generation open: new updates before each search, a new generation on reload."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from indexer.errors import BundleError, PrunedError
from indexer.search.delta import Delta
from indexer.search.filter_cache import FilterCache
from indexer.search.generation import OpenedGeneration, Verify
from indexer.search.live_lexical import LiveLexical
from indexer.search.view import View
from indexer.storage.documents import StoredDocument
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal
from indexer.storage.manifest import Manifest, ModelFacts
from indexer.storage.recorded_model import RecordedModel


class LiveGeneration:
    """An opened generation that applies the updates since. Only one thread at a time may call :meth:`catch_up`.

    Attributes:
        name, opened, model: the generation's.
        view: what searches see.
        seen: the journal's signal when it was last read.
    """

    def __init__(
        self, path: Path, journal: Journal, model_of: Callable[[ModelFacts], RecordedModel], verify: Verify
    ) -> None:
        """Open a generation and apply its updates.

        Args:
            path: the generation's directory.
            journal: the index's.
            model_of: returns the model for a manifest's facts.
            verify: which files to verify against their checksums.

        Raises:
            BundleError: one of its files, or the journal, cannot be used.
        """
        self.name, self.opened = path.name, OpenedGeneration(path, verify)
        self.model = model_of(self.opened.manifest.model)
        self._journal = journal
        self._sequence = self._shown = journal.start_of(self.name)
        self._delta = Delta(self.opened.documents, self.opened.vectors, self.model.facts.content_hash)
        self._reset_caches()
        self.view = self._view()
        self.seen = 0
        try:
            self.catch_up()
        except BaseException:
            self.opened.close()
            raise

    def added(self, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the documents among ``ids`` that updates added. Not thread-safe."""
        return self._delta.fetch(ids)

    def catch_up(self) -> None:
        """Apply all new operations, and show them to searches at once.

        Raises:
            PrunedError: some were compacted into a later generation.
        """
        seen = self._journal.signal
        for page in self._journal.pages(self._sequence):
            self._delta.apply(page)
            self._sequence = page[-1].sequence
            if self._delta.tidy():
                self._reset_caches()
        if self._sequence > self._shown:
            self.view = self._view()
            self._shown = self._sequence
        self.seen = seen

    def _view(self) -> View:
        return View(self.opened, self._delta.view(), self._filters, self._lexical)

    def _reset_caches(self) -> None:
        """Reset the caches keyed by added-row number."""
        self._filters = FilterCache(self.opened.documents, self.opened.manifest.rows)
        self._lexical = None if self.opened.lexical is None else LiveLexical(self.opened.lexical)


class LiveIndex:
    """The published generation of an index, kept open and up to date. Thread-safe.

    Attributes:
        generation: the generation that is open now, as of the last :meth:`current`, :meth:`refresh` or :meth:`reload`.
    """

    def __init__(
        self,
        root: Path,
        model_of: Callable[[ModelFacts], RecordedModel],
        verify: Verify,
        warm_up: Callable[[View], None],
    ) -> None:
        """Open the published generation.

        Args:
            root: the index directory.
            model_of: returns the model for a manifest's facts.
            verify: which files to verify against their checksums, now and on reload; ``all`` includes the journal.
            warm_up: runs on a new generation's view before searches use it.

        Raises:
            BundleError: nothing is published, or a file cannot be used.
        """
        self._verify, self._warm_up = verify, warm_up
        self._generations, self._journal = Generations(root), Journal(root)
        self._lock, self._reloading = threading.Lock(), threading.Lock()
        try:
            if verify == "all":
                self._journal.verify()
            self.generation = self._open(model_of)
        except BaseException:
            self._journal.close()
            raise

    def close(self) -> None:
        """Close the document file and the journal."""
        self.generation.opened.close()
        self._journal.close()

    def current(self) -> LiveGeneration:
        """Return the open generation with every operation acknowledged so far applied."""
        if self._journal.signal != self.generation.seen:
            self.refresh()
        return self.generation

    def added(self, ids: Sequence[str]) -> tuple[dict[str, StoredDocument], View]:
        """Return the documents among ``ids`` that updates added, and the view at that moment."""
        self.current()
        with self._lock:
            return self.generation.added(ids), self.generation.view

    def refresh(self) -> None:
        """Apply new updates now, so that the next search does not have to."""
        with self._lock:
            try:
                self.generation.catch_up()
            except PrunedError:
                self._replace(self._open(self.generation.model.of))

    def reload(self) -> bool:
        """Switch to the generation published now. Searches continue meanwhile, on the generation they started with.

        Returns:
            whether another generation, or a new calibration, is now in use.
        """
        with self._reloading:
            while True:
                before, name = self.generation, self._generations.require_published()
                if name == before.name and Manifest.read(before.opened.path) == before.opened.manifest:
                    return False
                # Opened without the lock that searches take to see new updates: at millions of rows this takes seconds.
                live = self._open(before.model.of)
                self._warm_up(live.view)
                with self._lock:
                    if self.generation is before and _catches_up(live):
                        self._replace(live)
                        return True
                live.opened.close()  # superseded meanwhile, or its updates were compacted into a later generation

    def _open(self, model_of: Callable[[ModelFacts], RecordedModel]) -> LiveGeneration:
        while True:
            name = self._generations.require_published()
            try:
                return LiveGeneration(self._generations.path(name), self._journal, model_of, self._verify)
            except BundleError:
                # It may have been superseded and deleted since its name was read.
                if self._generations.published() == name:
                    raise

    def _replace(self, live: LiveGeneration) -> None:
        before, self.generation = self.generation, live
        # Closes once the last search that uses it has ended.
        weakref.finalize(before.opened, before.opened.documents.close)


def _catches_up(live: LiveGeneration) -> bool:
    try:
        live.catch_up()
    except PrunedError:
        return False
    return True
