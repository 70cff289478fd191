"""A thread-pool dispatcher with dynamic batching and load shedding."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, TypeVar

from service.errors import ClientDisconnectedError, ServiceError

_T = TypeVar("_T")
_I = TypeVar("_I")
_SMOOTHING = 0.1
"""Weight of the newest batch in the moving average of the time per job."""

_MAX_GROWTH = 2.0
_GROWTH_SECONDS = 0.002
"""A batch counts as at most ``_MAX_GROWTH`` times the average plus ``_GROWTH_SECONDS``."""

Step = Callable[[Sequence[_I], int], Sequence[_T | BaseException]]
"""Runs several jobs at once: takes their items and the number of cores to use, returns an outcome for each item."""


class Limits(NamedTuple):
    """Limits of a queue.

    Attributes:
        pending: maximum number of jobs running or queued.
        wait_seconds: a job is refused if its estimated waiting time, by the recent time per job, is longer.
        batch: maximum number of jobs run together.
    """

    pending: int
    wait_seconds: float
    batch: int


class Observer(Protocol):
    """Receives events of a dispatcher, for metrics."""

    def batch(self, jobs: int, waited: Sequence[float]) -> None:
        """Record that ``jobs`` are about to run together, each after waiting this many seconds."""

    def refused(self, reason: str) -> None:
        """Record that a job was not run: ``overloaded``, ``deadline`` or ``client_gone``."""


class NullObserver:
    """Ignores all events."""

    def batch(self, jobs: int, waited: Sequence[float]) -> None:
        """Do nothing."""

    def refused(self, reason: str) -> None:
        """Do nothing."""


@dataclass(slots=True, eq=False)
class _Job:
    """The work of one request; ``group`` is None if it runs alone."""

    group: Hashable | None
    step: Step[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    entered: float


class Dispatcher:
    """Runs jobs on a fixed number of threads. The event loop owns all state; threads only run steps.

    If a thread is idle, a job starts at once, alone. Otherwise it is queued. A thread that becomes free takes the job
    that has waited longest together with queued jobs of the same group, up to its share of the queue. Batches therefore
    grow with the load, and no job waits for a batch to fill.
    """

    def __init__(self, name: str, threads: int, cores: int, limits: Limits, observer: Observer | None = None) -> None:
        """Create the threads.

        Args:
            name: prefix of the threads' names.
            threads: number of steps that run at the same time.
            cores: number of cores, divided among the running steps.
            limits: of the queue.
            observer: receives each batch and refusal; none if None.
        """
        self.threads, self._cores, self._limits = threads, cores, limits
        self._observer: Observer = observer or NullObserver()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting: deque[_Job] = deque()
        self._busy = 0
        self._running = 0
        self._job_seconds = 0.0

    @property
    def pending(self) -> int:
        """Number of jobs running or queued."""
        return self._running + len(self._waiting)

    @property
    def waiting(self) -> int:
        """Number of queued jobs."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Refuse a job that could not run in time.

        Raises:
            ServiceError: 503, because too many jobs are pending or the queue takes too long.
        """
        retry_after = self.retry_after
        if retry_after is not None:
            self._observer.refused("overloaded")
            message = f"the service is at its limit: {self.pending} requests are pending; try again"
            raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", message, retry_after=retry_after)

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to retry if there is no room for another job; None if there is room."""
        expected = self.pending * self._job_seconds / self.threads
        # One job may always wait per thread: otherwise slow jobs would leave threads idle.
        soon = len(self._waiting) < self.threads or expected <= self._limits.wait_seconds
        if soon and self.pending < self._limits.pending:
            return None
        return max(expected, 0.001)

    async def run(
        self,
        step: Callable[[], _T],
        *,
        deadline: float | None = None,
        client_disconnected: Callable[[], Awaitable[None]] | None = None,
    ) -> _T:
        """Run a step alone; arguments and errors are those of :meth:`run_together`."""

        def alone(items: Sequence[None], cores: int) -> Sequence[_T]:
            return [step()]

        return await self.run_together(None, alone, None, deadline=deadline, client_disconnected=client_disconnected)

    async def run_together(
        self,
        group: Hashable | None,
        step: Step[_I, _T],
        item: _I,
        *,
        deadline: float | None = None,
        client_disconnected: Callable[[], Awaitable[None]] | None = None,
    ) -> _T:
        """Run a job, together with queued jobs of its group.

        Args:
            group: jobs with equal groups have interchangeable steps; None for a job that runs alone.
            step: raises, or returns an outcome for each item. An outcome that is an exception is raised for its job.
            item: the step's input for this job.
            deadline: in terms of ``time.monotonic()``. Once it has passed, a queued job is dropped and a running one is
                no longer awaited.
            client_disconnected: returns when the client has disconnected, which drops the job if it is still queued.

        Raises:
            ServiceError: 503 as of :meth:`check_room`; 408 if the deadline passes.
            ClientDisconnectedError: the client disconnected before the job started.
        """
        self.check_room()
        loop = asyncio.get_running_loop()
        job = _Job(group, step, item, loop.create_future(), time.monotonic())
        self._waiting.append(job)
        self._start()
        timer = None if deadline is None else loop.call_at(loop.time() + deadline - job.entered, self._late, job)
        watcher = None
        if client_disconnected is not None and self._waiting and job in self._waiting:
            watcher = asyncio.create_task(self._watch(job, client_disconnected))
        try:
            result: _T = await job.future
            return result
        finally:
            if timer is not None:
                timer.cancel()
            if watcher is not None:
                watcher.cancel()

    async def on_every_thread(self, step: Callable[[], None]) -> None:
        """Run a step once on each thread, after running jobs and before queued ones."""
        loop = asyncio.get_running_loop()
        # Each thread blocks until all have arrived, so that none runs the step twice.
        together: asyncio.Future[None] = loop.create_future()
        arrived = 0

        def here() -> None:
            nonlocal arrived
            arrived += 1
            if arrived == self.threads and not together.done():
                together.set_result(None)

        def visit() -> None:
            try:
                step()
            finally:
                loop.call_soon_threadsafe(here)
                asyncio.run_coroutine_threadsafe(_wait(together), loop).result()

        try:
            await asyncio.gather(*(loop.run_in_executor(self._executor, visit) for _ in range(self.threads)))
        finally:
            # If this was cancelled, visits that have not started never will; release the threads that wait for them.
            if not together.done():
                together.set_result(None)

    async def close(self) -> None:
        """Wait for all pending jobs, then stop the threads."""
        while self.pending:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self._executor.shutdown, wait=True)

    def _start(self) -> None:
        """Give queued jobs to idle threads."""
        while self._waiting and self._busy < self.threads:
            batch = self._next_batch()
            if batch:
                self._busy += 1
                self._running += len(batch)
                cores = max(1, self._cores // min(self.threads, self._busy + len(self._waiting)))
                self._executor.submit(self._work, batch, cores, asyncio.get_running_loop())

    def _next_batch(self) -> list[_Job]:
        now = time.monotonic()
        share = min(self._limits.batch, math.ceil(len(self._waiting) / self.threads))
        first = self._waiting.popleft()
        batch = [] if first.future.done() else [first]
        if batch and first.group is not None and share > 1:
            left: deque[_Job] = deque()
            for job in self._waiting:
                if len(batch) < share and job.group == first.group:
                    batch.append(job)
                else:
                    left.append(job)
            self._waiting = left
            batch = [job for job in batch if not job.future.done()]
        if batch:
            self._observer.batch(len(batch), [now - job.entered for job in batch])
        return batch

    def _work(self, batch: Sequence[_Job], cores: int, loop: asyncio.AbstractEventLoop) -> None:
        """Run a batch. Called on a thread of the pool."""
        started = time.monotonic()
        outcomes = _outcomes(batch, cores)
        with suppress(RuntimeError):  # the loop is closed: nobody awaits the outcomes
            loop.call_soon_threadsafe(self._finish, batch, outcomes, time.monotonic() - started)

    def _finish(self, batch: Sequence[_Job], outcomes: Sequence[Any], seconds: float) -> None:
        self._busy -= 1
        self._running -= len(batch)
        # A single slow batch must not cause refusals; a lasting change is followed within a few batches.
        cost = min(seconds / len(batch), _MAX_GROWTH * self._job_seconds + _GROWTH_SECONDS)
        self._job_seconds += _SMOOTHING * (cost - self._job_seconds)
        self._start()  # first, because the thread is idle while the callers below take their time
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _late(self, job: _Job) -> None:
        if not job.future.done():
            self._observer.refused("deadline")
            message = "the request was not answered before its deadline (X-Timeout-Ms)"
            job.future.set_exception(ServiceError(HTTPStatus.REQUEST_TIMEOUT, "deadline_exceeded", message))

    async def _watch(self, job: _Job, client_disconnected: Callable[[], Awaitable[None]]) -> None:
        await client_disconnected()
        if job in self._waiting and not job.future.done():
            self._observer.refused("client_gone")
            job.future.set_exception(ClientDisconnectedError())


async def _wait(future: asyncio.Future[None]) -> None:
    await future


def _outcomes(batch: Sequence[_Job], cores: int) -> Sequence[Any]:
    try:
        outcomes: Sequence[Any] = batch[0].step([job.item for job in batch], cores)
    except BaseException as error:
        if len(batch) == 1:
            return [error]
        # One job may have caused the error: run each alone, so that the others succeed.
        return [_outcomes([job], cores)[0] for job in batch]
    return outcomes
