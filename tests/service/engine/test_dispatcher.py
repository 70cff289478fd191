import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.dispatcher import Dispatcher, Limits
from service.errors import ClientDisconnectedError, ServiceError


class Observed:
    def __init__(self):
        self.batches, self.refusals = [], []

    def batch(self, jobs, waited):
        assert len(waited) == jobs
        self.batches.append(jobs)

    def refused(self, reason):
        self.refusals.append(reason)


def run(scenario, threads=2, pending=100, wait_seconds=10.0, batch=32, cores=2):
    """Run a scenario with a dispatcher; return what was observed."""
    observed = Observed()

    async def go():
        dispatcher = Dispatcher("test", threads, cores, Limits(pending, wait_seconds, batch), observed)
        try:
            await asyncio.wait_for(scenario(dispatcher), 30)
        finally:
            await dispatcher.close()
        assert dispatcher.pending == 0

    asyncio.run(go())
    return observed


def doubled(items, cores):
    return [2 * item for item in items]


class Held:
    """A step that holds its thread until let go."""

    def __init__(self):
        self.event = threading.Event()

    def __call__(self):
        assert self.event.wait(30)
        return "held"


async def occupy(dispatcher, held):
    """Take every thread."""
    tasks = [asyncio.create_task(dispatcher.run(held)) for _ in range(dispatcher.threads)]
    while dispatcher.pending < dispatcher.threads:
        await asyncio.sleep(0)
    return tasks


def test_a_lone_job_starts_at_once_and_alone():
    async def scenario(dispatcher):
        for number in range(5):
            assert await dispatcher.run_together("g", doubled, number) == 2 * number

    assert run(scenario).batches == [1] * 5


def test_queued_jobs_of_a_group_run_together():
    calls = []

    def step(items, cores):
        calls.append(sorted(items))
        return doubled(items, cores)

    async def scenario(dispatcher):
        held = Held()
        tasks = await occupy(dispatcher, held)
        waiting = [asyncio.create_task(dispatcher.run_together(number % 2, step, number)) for number in range(6)]
        await asyncio.sleep(0.01)
        assert dispatcher.waiting == 6
        held.event.set()
        assert await asyncio.gather(*waiting) == [0, 2, 4, 6, 8, 10]
        await asyncio.gather(*tasks)

    run(scenario, threads=1)
    assert calls == [[0, 2, 4], [1, 3, 5]]


@given(
    groups=st.lists(st.sampled_from(["a", "b", None]), max_size=40),
    threads=st.integers(1, 3),
    batch=st.integers(1, 8),
)
def test_every_job_gets_its_own_outcome(groups, threads, batch):
    """Whatever runs together, each job's answer is that of running it alone; a failure is its own too."""

    def step(items, cores):
        if len(items) > 1 and any(item % 7 == 3 for item in items):
            raise ValueError("somebody is to blame")
        if items[0] % 7 == 3:
            raise ValueError(items[0])
        return doubled(items, cores)

    async def scenario(dispatcher):
        jobs = [dispatcher.run_together(group, step, number) for number, group in enumerate(groups)]
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        for number, outcome in enumerate(outcomes):
            if number % 7 == 3:
                assert isinstance(outcome, ValueError)
                assert outcome.args == (number,)
            else:
                assert outcome == 2 * number

    observed = run(scenario, threads=threads, batch=batch)
    assert sum(observed.batches) == len(groups)
    assert all(jobs <= batch for jobs in observed.batches)


def test_cores_are_divided_among_running_steps():
    given_cores = []

    def step(items, cores):
        given_cores.append(cores)
        return items

    async def scenario(dispatcher):
        await dispatcher.run_together("g", step, 1)
        held = Held()
        task = asyncio.create_task(dispatcher.run(held))
        await asyncio.sleep(0)
        await dispatcher.run_together("g", step, 1)
        held.event.set()
        await task

    run(scenario, threads=2, cores=4)
    assert given_cores == [4, 2]


def test_a_full_queue_refuses_and_says_when_to_retry():
    async def scenario(dispatcher):
        held = Held()
        tasks = await occupy(dispatcher, held)
        tasks += [asyncio.create_task(dispatcher.run(held)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceError, match="4 requests are pending") as refused:
            await dispatcher.run(held)
        assert (refused.value.status, refused.value.code) == (503, "overloaded")
        assert refused.value.retry_after > 0
        held.event.set()
        assert await asyncio.gather(*tasks) == ["held"] * 4
        assert await dispatcher.run(lambda: 1) == 1

    assert run(scenario, pending=4).refusals == ["overloaded"]


def test_a_queue_that_would_take_too_long_refuses():
    async def scenario(dispatcher):
        for _ in range(30):
            await dispatcher.run(lambda: time.sleep(0.01))
        held = Held()
        tasks = await occupy(dispatcher, held)
        refused = None
        while refused is None:
            tasks.append(asyncio.create_task(dispatcher.run(held)))
            await asyncio.sleep(0)
            try:
                dispatcher.check_room()
            except ServiceError as error:
                refused = error
        # Jobs of some 10 ms on one thread: about five of them fit into 50 ms.
        assert 2 <= dispatcher.waiting <= 8
        assert 0.03 < refused.retry_after < 0.5
        held.event.set()
        await asyncio.gather(*tasks)

    run(scenario, threads=1, wait_seconds=0.05)


def test_slow_jobs_leave_no_thread_idle():
    async def scenario(dispatcher):
        for _ in range(30):
            await dispatcher.run(lambda: time.sleep(0.02))
        held = Held()
        tasks = []
        for _ in range(2 * dispatcher.threads):
            dispatcher.check_room()
            tasks.append(asyncio.create_task(dispatcher.run(held)))
            await asyncio.sleep(0)
        assert (dispatcher.pending, dispatcher.waiting) == (4, 2)
        with pytest.raises(ServiceError):
            dispatcher.check_room()
        held.event.set()
        await asyncio.gather(*tasks)

    run(scenario, threads=2, wait_seconds=0.001)


def test_a_queued_job_is_dropped_at_its_deadline():
    begun = []

    async def scenario(dispatcher):
        held = Held()
        tasks = await occupy(dispatcher, held)
        started = time.monotonic()
        with pytest.raises(ServiceError) as late:
            await dispatcher.run(lambda: begun.append(1), deadline=started + 0.02)
        assert (late.value.status, late.value.code) == (408, "deadline_exceeded")
        assert time.monotonic() - started < 5
        held.event.set()
        await asyncio.gather(*tasks)
        assert await dispatcher.run(lambda: 3, deadline=time.monotonic() + 20) == 3

    assert run(scenario).refusals == ["deadline"]
    assert begun == []


def test_a_running_job_is_not_awaited_past_its_deadline():
    async def scenario(dispatcher):
        held = Held()
        with pytest.raises(ServiceError, match="X-Timeout-Ms"):
            await dispatcher.run(held, deadline=time.monotonic() + 0.02)
        assert dispatcher.pending == 1, "its thread is taken until it ends"
        held.event.set()

    run(scenario)


def test_a_queued_job_is_dropped_when_its_client_disconnects():
    begun = []

    async def scenario(dispatcher):
        held, gone = Held(), asyncio.Event()
        tasks = await occupy(dispatcher, held)
        waiting = asyncio.create_task(dispatcher.run(lambda: begun.append(1), client_disconnected=gone.wait))
        await asyncio.sleep(0.01)
        gone.set()
        with pytest.raises(ClientDisconnectedError):
            await waiting
        held.event.set()
        await asyncio.gather(*tasks)

    assert run(scenario).refusals == ["client_gone"]
    assert begun == []


def test_a_job_that_starts_at_once_is_not_watched():
    async def scenario(dispatcher):
        async def never():
            raise AssertionError("asked")

        assert await dispatcher.run(lambda: 1, client_disconnected=never) == 1

    run(scenario)


def test_a_step_visits_every_thread_once_while_jobs_come():
    async def scenario(dispatcher):
        seen = []
        jobs = [asyncio.create_task(dispatcher.run(lambda: time.sleep(0.001))) for _ in range(20)]
        await dispatcher.on_every_thread(lambda: seen.append(threading.current_thread().name))
        await asyncio.gather(*jobs)
        assert len(seen) == len(set(seen)) == 3

    run(scenario, threads=3)


def test_a_visit_to_every_thread_that_is_cancelled_holds_none_of_them():
    """As when a service is stopped while it takes up a generation."""

    async def scenario(dispatcher):
        held = Held()
        busy = asyncio.create_task(dispatcher.run(held))
        while not dispatcher.pending:
            await asyncio.sleep(0)
        came = threading.Event()
        visit = asyncio.create_task(dispatcher.on_every_thread(came.set))
        assert await asyncio.to_thread(came.wait, 10)
        visit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visit
        assert await asyncio.wait_for(dispatcher.run(lambda: 1), 10) == 1, "the other thread is free again"
        held.event.set()
        assert await busy == "held"

    run(scenario)


def test_a_step_that_fails_on_every_thread_raises():
    async def scenario(dispatcher):
        with pytest.raises(ZeroDivisionError):
            await dispatcher.on_every_thread(lambda: 1 / 0)
        assert await dispatcher.run(lambda: 1) == 1

    run(scenario)
