"""The opened index behind the routes: loaded in the background, searched on a few threads, never on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from indexer import Index, SearchOptions
from indexer.watch import WatchOptions
from models.errors import AdaptiveRetrievalError
from service.errors import ServiceError
from service.settings import Settings

logger = logging.getLogger("mrl.service")
_T = TypeVar("_T")


class Engine:
    """Opens the index, and runs what takes time on an executor with a bounded queue."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # An executor of our own: the framework's has forty threads, of which most would wait for each other.
        self._executor = ThreadPoolExecutor(settings.threads, thread_name_prefix="search")
        self._pending = 0
        self._index: Index | None = None
        self.failure: Exception | None = None
        """Why the index could not be opened."""

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
            reason = f"the index cannot be opened: {self.failure}" if self.failure else "the index is being opened"
            raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", reason, retry_after=1)
        return self._index

    async def load(self) -> None:
        """Open the index and its encoder and search once on every thread, so that the first requests find all warm."""
        loop, threads = asyncio.get_running_loop(), self.settings.threads
        # The barrier keeps each thread until all have come, so that none warms up twice in another's place.
        barrier = threading.Barrier(threads)

        def warm_up(index: Index) -> None:
            barrier.wait()
            index.search(["warm up"], SearchOptions(k=1))

        try:
            index = await loop.run_in_executor(self._executor, self._open)
            await asyncio.gather(*(loop.run_in_executor(self._executor, warm_up, index) for _ in range(threads)))
            self._index = index
        except Exception as error:
            # Whatever it is, /readyz has to tell it: a service that is "being opened" for ever helps nobody.
            expected = isinstance(error, AdaptiveRetrievalError)
            logger.error("cannot open %s: %s", self.settings.index, error, exc_info=None if expected else error)
            self.failure = error

    async def run(self, step: Callable[[], _T]) -> _T:
        """Run a step on the executor.

        Raises:
            ServiceError: as many steps as allowed are running or waiting.
        """
        if self._pending >= self.settings.max_pending:
            raise ServiceError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "overloaded",
                f"{self._pending} requests are being answered or wait; try again",
                retry_after=1,
            )
        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, step)
        # Counted down when the step ends, not when its client goes away: the thread is taken until then.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Wait for running steps and close the index."""
        await asyncio.to_thread(self._executor.shutdown, wait=True)
        if self._index is not None:
            self._index.close()

    def _open(self) -> Index:
        settings = self.settings
        watch = WatchOptions(settings.watch_share, settings.watch_budget)
        index = Index.open(settings.index, model=settings.model, device=settings.device, watch=watch)
        _ = index.encoder  # a model that has moved or changed is told now, not by the first request
        return index

    def _done(self, _: object) -> None:
        self._pending -= 1
