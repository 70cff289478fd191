"""Work on a few threads: at once where one is free, else queued, and what waits together is run together."""

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

from service.errors import ClientGoneError, ServiceError

_T = TypeVar("_T")
_I = TypeVar("_I")
_SMOOTHING = 0.1
"""Weight of the newest batch in the running mean of what a job costs."""

_MOST_GROWTH = 2.0
_LEAST_SECONDS = 0.002
"""A batch counts at most as this many times the mean, and this much more."""

Step = Callable[[Sequence[_I], int], Sequence[_T | BaseException]]
"""Does several jobs at once: gets their items and the number of cores it may use, returns an outcome for each."""


class Limits(NamedTuple):
    """What may wait.

    Attributes:
        pending: jobs that run or wait.
        wait_seconds: a job that would wait longer, by what jobs have cost lately, is refused.
        batch: jobs run together.
    """

    pending: int
    wait_seconds: float
    batch: int


class Observer(Protocol):
    """Is told of what is run."""

    def batch(self, jobs: int, waited: Sequence[float]) -> None:
        """So many jobs are run together; each has waited so many seconds."""

    def refused(self, reason: str) -> None:
        """A job was not run: ``overloaded``, ``deadline`` or ``client_gone``."""


class NullObserver:
    """Is not interested."""

    def batch(self, jobs: int, waited: Sequence[float]) -> None:
        """Do nothing."""

    def refused(self, reason: str) -> None:
        """Do nothing."""


@dataclass(slots=True, eq=False)
class _Job:
    """One request's work; ``group`` is None where it runs alone."""

    group: Hashable | None
    step: Step[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    entered: float


class Dispatcher:
    """Hands jobs to threads. All of its state belongs to the event loop; threads only run steps.

    A job that finds a thread idle starts at once and alone. Where all are busy it waits; a thread that becomes free
    takes the job that waited longest, and with it those of its group, up to its share of all that wait. So batches are
    as large as the load makes them, and nobody waits for a batch to fill.
    """

    def __init__(self, name: str, threads: int, cores: int, limits: Limits, observer: Observer | None = None) -> None:
        """Make the threads.

        Args:
            name: of the threads.
            threads: steps that run at the same time.
            cores: divided among the steps that run.
            limits: what may wait.
            observer: is told of each batch and refusal.
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
        """Jobs that run or wait."""
        return self._running + len(self._waiting)

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Refuse what could not be run in time.

        Raises:
            ServiceError: 503; as many jobs as allowed are pending, or those that wait will take too long.
        """
        retry_after = self.full
        if retry_after is not None:
            self._observer.refused("overloaded")
            message = f"{self.pending} requests are being answered or wait; try again"
            raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", message, retry_after=retry_after)

    @property
    def full(self) -> float | None:
        """Seconds after which to come again, where there is no room for another job; None where there is."""
        expected = self.pending * self._job_seconds / self.threads
        # However long jobs take, one may wait for each thread: else slow ones would leave threads idle.
        soon = len(self._waiting) < self.threads or expected <= self._limits.wait_seconds
        if soon and self.pending < self._limits.pending:
            return None
        return max(expected, 0.001)

    async def run(
        self,
        step: Callable[[], _T],
        *,
        deadline: float | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> _T:
        """Run a step alone; see :meth:`run_together` for arguments and errors."""

        def alone(items: Sequence[None], cores: int) -> Sequence[_T]:
            return [step()]

        return await self.run_together(None, alone, None, deadline=deadline, gone=gone)

    async def run_together(
        self,
        group: Hashable | None,
        step: Step[_I, _T],
        item: _I,
        *,
        deadline: float | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> _T:
        """Run a job, together with waiting ones of its group.

        Args:
            group: jobs of equal groups have steps that do the same; None for a job that runs alone.
            step: raises, or returns an outcome for each item; an exception among them is raised for that job alone.
            item: what the step is to do for this job.
            deadline: by ``time.monotonic()``; past it the job is not begun, and nobody waits for its end.
            gone: returns when the client has gone; asked only while the job waits, which then is not begun.

        Raises:
            ServiceError: 503 where :meth:`check_room` refuses; 408 past the deadline.
            ClientGoneError: the client went before the job began.
        """
        self.check_room()
        loop = asyncio.get_running_loop()
        job = _Job(group, step, item, loop.create_future(), time.monotonic())
        self._waiting.append(job)
        self._start()
        timer = None if deadline is None else loop.call_at(loop.time() + deadline - job.entered, self._late, job)
        watcher = None
        if gone is not None and self._waiting and job in self._waiting:
            watcher = asyncio.create_task(self._watch(job, gone))
        try:
            result: _T = await job.future
            return result
        finally:
            if timer is not None:
                timer.cancel()
            if watcher is not None:
                watcher.cancel()

    async def on_every_thread(self, step: Callable[[], None]) -> None:
        """Run a step once on each thread, after what is running; what waits goes on waiting meanwhile."""
        loop = asyncio.get_running_loop()
        # Each thread stays until all have come, so that none runs the step twice in another's place.
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
            # Where this was cancelled, a visit that had not begun never will, and nobody may wait for it.
            if not together.done():
                together.set_result(None)

    async def close(self) -> None:
        """Wait for what runs and waits, and end the threads."""
        while self.pending:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self._executor.shutdown, wait=True)

    def _start(self) -> None:
        """Give idle threads what waits."""
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
        """Run a batch, on a thread."""
        started = time.monotonic()
        outcomes = _outcomes(batch, cores)
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(self._finish, batch, outcomes, time.monotonic() - started)

    def _finish(self, batch: Sequence[_Job], outcomes: Sequence[Any], seconds: float) -> None:
        self._busy -= 1
        self._running -= len(batch)
        # One that took long, because something else did, must not have others refused: lasting change is followed soon.
        cost = min(seconds / len(batch), _MOST_GROWTH * self._job_seconds + _LEAST_SECONDS)
        self._job_seconds += _SMOOTHING * (cost - self._job_seconds)
        self._start()  # first of all: the thread is idle, while those who wait for outcomes take their time
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
            message = "the request's deadline (X-Timeout-Ms) passed before it was answered"
            job.future.set_exception(ServiceError(HTTPStatus.REQUEST_TIMEOUT, "deadline_exceeded", message))

    async def _watch(self, job: _Job, gone: Callable[[], Awaitable[None]]) -> None:
        await gone()
        if job in self._waiting and not job.future.done():
            self._observer.refused("client_gone")
            job.future.set_exception(ClientGoneError())


async def _wait(future: asyncio.Future[None]) -> None:
    await future


def _outcomes(batch: Sequence[_Job], cores: int) -> Sequence[Any]:
    try:
        outcomes: Sequence[Any] = batch[0].step([job.item for job in batch], cores)
    except BaseException as error:
        if len(batch) == 1:
            return [error]
        # One of them may be to blame: the others must not suffer for it.
        return [_outcomes([job], cores)[0] for job in batch]
    return outcomes
