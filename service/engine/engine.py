"""The opened index behind the routes: loaded in the background, searched and changed on threads, never on the loop."""

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

from indexer import BundleError, Generations, Index, SearchOptions
from indexer.kernels.threads import cores
from indexer.watch import WatchOptions
from models.classifier.classifier import Classifier, load_classifier
from models.errors import AdaptiveRetrievalError, InvalidOptionError
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
_LONGEST_PAUSE: Final = 60.0
"""Seconds between tries to take up a generation that cannot be opened."""


class Engine:
    """Opens the index, follows what is published, and runs what takes time on threads with bounded queues.

    Attributes:
        settings: of the service.
        metrics: of this application.
        reads: runs searches and whatever else reads.
        writes: runs what changes documents, one after another.
        compaction: of the index, in the background.
        failure: why the index could not be opened.
        classifier: classifies texts; None where there is none.
        draining: whether the service is about to stop, and should get no new clients.
        traces: where spans are written; None where they are not.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        limits = Limits(settings.max_pending, settings.max_wait_milliseconds / 1e3, settings.max_batch)
        self.reads = Dispatcher("search", settings.threads, cores(), limits, self.metrics)
        # Writes are few and long: how many wait is bounded, not for how long.
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
        """Whether searches can be answered."""
        return self._index is not None

    @property
    def index(self) -> Index:
        """The opened index.

        Raises:
            ServiceError: it is not open (yet).
        """
        if self._index is None:
            reason = "the index is being opened, or waited for" if self.settings.wait else "the index is being opened"
            if self.failure:
                reason = f"the index cannot be opened: {self.failure}"
            raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", reason, retry_after=1)
        return self._index

    async def load(self) -> None:
        """Open the index and its encoder and search once on every thread, so that the first requests find all warm."""
        try:
            await self._published()
            index = await self.reads.run(self._open)
            await self.reads.on_every_thread(partial(_search_once, index))
            self._index = index
            self._following = asyncio.create_task(self._follow())
        except Exception as error:
            # Whatever it is, /readyz has to tell it: a service that is "being opened" for ever helps nobody.
            expected = isinstance(error, AdaptiveRetrievalError)
            logger.error("cannot open %s: %s", self.settings.index, error, exc_info=None if expected else error)
            self.failure = error

    async def _published(self) -> None:
        """Wait, where the settings say so, until there is a generation to serve."""
        generations = Generations(self.settings.index)
        told = False
        while self.settings.wait and await asyncio.to_thread(generations.published) is None:
            if not told:
                logger.info("nothing is published at %s yet: waiting", self.settings.index)
                told = True
            await asyncio.sleep(self.settings.follow_seconds or 1)

    async def run(self, step: Callable[[], _T], deadline: float | None = None) -> _T:
        """Run a step that reads.

        Raises:
            ServiceError: too many wait, or the deadline has passed.
        """
        return await self.reads.run(step, deadline=deadline)

    async def write(self, step: Callable[[], _T], deadline: float | None = None) -> _T:
        """Run a step that changes documents.

        Raises:
            ServiceError: too many wait, or the deadline has passed; the change may have been made nevertheless.
        """
        return await self.writes.run(step, deadline=deadline)

    async def reload(self) -> bool:
        """Go over to the published generation, warm, while searches go on; return whether it is another.

        Raises:
            AdaptiveRetrievalError: it cannot be opened. The one that is served stays.
        """
        index = self.index
        try:
            changed = await asyncio.to_thread(index.reload)
            if changed:
                # Each search thread opens the documents now: later two more builds may have deleted the file.
                await self.reads.on_every_thread(partial(_search_once, index))
                self.metrics.reloaded("changed")
                logger.info("serving generation %s of %s", index.generation, self.settings.index)
        except Exception:
            self.metrics.reloaded("failed")
            raise
        return changed

    async def rollback(self, to: str | None) -> tuple[str, str]:
        """Publish an earlier generation, or the one named, and serve it.

        Returns:
            The names of the generation that was and of the one that is now published.

        Raises:
            ServiceError: 409; there is none to go back to, or another process is changing the index.
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
        """Let what runs end, and close the index."""
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
        """Take up what others publish, and have many updates folded in, until cancelled."""
        told = ""
        pause = usual = self.settings.follow_seconds
        while usual:
            await asyncio.sleep(pause)
            try:
                await self.reload()
                self._compact_if_due()
                told, pause = "", usual
            except Exception as error:
                # Said once, not every second; what is served goes on being served.
                if str(error) != told:
                    logger.error("cannot follow %s: %s", self.settings.index, error)
                told = str(error)
                # Each try may read all of a large generation.
                pause = min(2 * pause, max(usual, _LONGEST_PAUSE))

    def _compact_if_due(self) -> None:
        updates, most = self.index.view.delta.changes, self.settings.compact_after
        # After a failure, which is told and logged, not again until there are half as many again.
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
        # A model that has moved or changed is told now, not by the first request.
        self.classifier = load_classifier(settings.classifier, index.encoder, device=settings.device)
        return index

    def _gauges(self) -> IndexGauges | None:
        if self._index is None:
            return None
        files = sum(facts.size for facts in self._index.manifest.files.values())
        return IndexGauges(
            self._index.generation,
            len(self._index),
            self._index.view.delta.changes,
            files,
            shutil.disk_usage(self.settings.index).free,
            self._index.watch.facts(),
        )


def _search_once(index: Index) -> None:
    try:
        index.search(["warm up"], SearchOptions(k=1))
    except InvalidOptionError:  # a vision model has no text side
        index.search_images([_SMALL_PNG], SearchOptions(k=1))
