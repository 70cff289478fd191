"""The open index behind the routes: opened in the background, used on threads and never on the event loop."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from indexer import BundleError, Generations, Index, SearchOptions, WatchOptions, cores
from models import AdaptiveRetrievalError, Classifier, InvalidOptionError, load_classifier
from service.engine.compaction import Compaction
from service.engine.dispatcher import Dispatcher, Limits
from service.errors import ServiceError
from service.settings import Settings
from service.telemetry.metrics import IndexGauges, Metrics
from service.telemetry.traces import Traces

logger = logging.getLogger("mrl.service")
_T = TypeVar("_T")
_SMALL_PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mNsYIAAJgaKGAAmCACQtTEKkQAAAABJRU5ErkJggg=="
)
_MAX_PAUSE: Final = 60.0
"""Longest time in seconds between attempts to open a generation that cannot be opened."""


class Engine:
    """Opens the index, follows published generations, and runs long steps on threads with bounded queues.

    Attributes:
        settings: of the service.
        metrics: of the application.
        reads: dispatcher of searches and other reads.
        writes: dispatcher of changes to documents, which run one at a time.
        compaction: of the index, in the background.
        failure: why the index could not be opened; None if it could, or is being opened.
        classifier: of texts or images; None if none is served.
        draining: whether the service is about to stop and reports unready.
        traces: writes trace spans; None if traces are off.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        limits = Limits(settings.max_pending, settings.max_wait_milliseconds / 1e3, settings.max_batch)
        self.reads = Dispatcher("search", settings.threads, cores(), limits, self.metrics)
        # Writes are few and long: their queue is limited in length, not in time.
        self.writes = Dispatcher("write", 1, cores(), limits._replace(wait_seconds=math.inf))
        self.compaction = Compaction(settings)
        self._index: Index | None = None
        self.classifier: Classifier | None = None
        self._following: asyncio.Task[None] | None = None
        self._compacted_at = 0
        self.failure: Exception | None = None
        self.draining = False
        self.traces: Traces | None = None
        self.metrics.watch_pending(lambda: self.reads.pending + self.writes.pending)
        self.metrics.watch_index(self._gauges)

    @property
    def ready(self) -> bool:
        """Whether the index is open and warm."""
        return self._index is not None

    @property
    def index(self) -> Index:
        """The open index.

        Raises:
            ServiceError: 503, because the index is not open yet or cannot be opened.
        """
        if self._index is None:
            reason = (
                "the index is being opened, or none is published yet"
                if self.settings.wait
                else "the index is being opened"
            )
            if self.failure:
                reason = f"the index cannot be opened: {self.failure}"
            raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", reason, retry_after=1)
        return self._index

    async def load(self) -> None:
        """Open the index and its encoder, and search once on every thread, so that the first requests are fast."""
        try:
            await self._wait_for_index()
            index = await self.reads.run(self._open)
            await self.reads.on_every_thread(partial(_search_once, index))
            self._index = index
            self._following = asyncio.create_task(self._follow())
        except Exception as error:
            # Any error ends the loading, so that /readyz reports it instead of "being opened" forever.
            expected = isinstance(error, AdaptiveRetrievalError)
            logger.error("cannot open %s: %s", self.settings.index, error, exc_info=None if expected else error)
            self.failure = error

    async def _wait_for_index(self) -> None:
        """Wait until a generation is published, if the settings say so."""
        generations = Generations(self.settings.index)
        logged = False
        while self.settings.wait and await asyncio.to_thread(generations.published) is None:
            if not logged:
                logger.info("no index is published at %s yet; waiting for one", self.settings.index)
                logged = True
            await asyncio.sleep(self.settings.follow_seconds or 1)

    async def run(self, step: Callable[[], _T], deadline: float | None = None) -> _T:
        """Run a step that reads.

        Raises:
            ServiceError: too many requests are pending, or the deadline passed.
        """
        return await self.reads.run(step, deadline=deadline)

    async def write(self, step: Callable[[], _T], deadline: float | None = None) -> _T:
        """Run a step that changes documents.

        Raises:
            ServiceError: too many requests are pending, or the deadline passed; the change may still be made.
        """
        return await self.writes.run(step, deadline=deadline)

    async def reload(self) -> bool:
        """Switch to the published generation without interrupting searches; return whether it changed.

        Raises:
            AdaptiveRetrievalError: the generation cannot be opened. The current one stays in service.
        """
        index = self.index
        try:
            changed = await asyncio.to_thread(index.reload)
            if changed:
                # Every search thread opens the document file now: two more builds may delete it later.
                await self.reads.on_every_thread(partial(_search_once, index))
                self.metrics.reloaded("changed")
                logger.info("serving generation %s of %s", index.generation, self.settings.index)
        except Exception:
            self.metrics.reloaded("failed")
            raise
        return changed

    async def rollback(self, to: str | None) -> tuple[str, str]:
        """Publish and serve an earlier generation.

        Args:
            to: name of the generation; the one before the published if None.

        Returns:
            The names of the generations published before and now.

        Raises:
            ServiceError: 409, because there is no such generation or another process is changing the index.
        """
        generations = Generations(self.settings.index)

        def publish() -> tuple[str, str]:
            with generations.locked():
                return generations.rollback(to)

        _ = self.index
        try:
            names = await asyncio.to_thread(publish)
        except BundleError as error:
            raise ServiceError(HTTPStatus.CONFLICT, "cannot_roll_back", str(error)) from error
        await self.reload()
        return names

    async def close(self) -> None:
        """Wait for pending requests, then close the index."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self.compaction.close()
        await self.reads.close()
        await self.writes.close()
        if self._index is not None:
            self._index.close()

    async def _follow(self) -> None:
        """Switch to newly published generations and compact when due, until cancelled."""
        logged = ""
        pause = usual = self.settings.follow_seconds
        while usual:
            await asyncio.sleep(pause)
            try:
                await self.reload()
                self._compact_if_due()
                logged, pause = "", usual
            except Exception as error:
                # The current generation stays in service. Each distinct error is logged once, not every second.
                if str(error) != logged:
                    logger.error("cannot follow %s: %s", self.settings.index, error)
                logged = str(error)
                # Back off, because each attempt may read all of a large generation.
                pause = min(2 * pause, max(usual, _MAX_PAUSE))

    def _compact_if_due(self) -> None:
        updates, most = self.index.view.delta.changes, self.settings.compact_after
        # After a failure, retry only once there are 50 % more updates.
        failed_at = self._compacted_at if self.compaction.facts.state == "failed" else 0
        if most and not self.compaction.running and updates > max(most, 1.5 * failed_at):
            self._compacted_at = updates
            self.compaction.start()

    def _open(self) -> Index:
        settings = self.settings
        watch = WatchOptions(share=settings.watch_share, budget=settings.watch_budget)
        index = Index.open(
            settings.index,
            model=settings.model,
            device=settings.device,
            watch=watch,
            verify=settings.verify_on_open,
        )
        # Loads the model: if it has moved or changed, fail now and not at the first request.
        self.classifier = load_classifier(settings.classifier, index.encoder, device=settings.device)
        return index

    def _gauges(self) -> IndexGauges | None:
        if self._index is None:
            return None
        files = sum(facts.size for facts in self._index.manifest.files.values())
        return IndexGauges(
            generation=self._index.generation,
            documents=len(self._index),
            updates=self._index.view.delta.changes,
            files_bytes=files,
            free_bytes=shutil.disk_usage(self.settings.index).free,
            watch=self._index.watch.facts(),
        )


def _search_once(index: Index) -> None:
    try:
        index.search(["warm up"], SearchOptions(k=1))
    except InvalidOptionError:  # a vision model has no text encoder
        index.search_images([_SMALL_PNG], SearchOptions(k=1))
