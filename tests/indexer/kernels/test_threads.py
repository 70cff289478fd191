import os
import threading

import pytest

from indexer.kernels import threads
from indexer.kernels.threads import cores, split


def ranges_of(count, parallel):
    """The ranges that ``split`` runs, sorted, with the names of their threads."""
    ran = []
    split(count, parallel, lambda start, stop: ran.append((start, stop, threading.current_thread().name)))
    return sorted(ran)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("parallel", [1, 2, 3, 8])
def test_the_ranges_cover_every_item_once(count, parallel):
    ran = ranges_of(count, parallel)
    assert [item for start, stop, _ in ran for item in range(start, stop)] == list(range(count))
    assert len(ran) == (min(count, parallel) if count else 0)


@pytest.mark.parametrize(("count", "parallel"), [(1, 8), (50, 1)])
def test_a_single_item_or_thread_runs_on_the_calling_thread(count, parallel):
    assert ranges_of(count, parallel) == [(0, count, threading.current_thread().name)]


def test_the_calling_thread_takes_the_first_range():
    first, *rest = ranges_of(10, 2)
    assert first[2] == threading.current_thread().name
    assert all(name.startswith("split") for _, _, name in rest)


@pytest.mark.parametrize("broken", [0, 5], ids=["on the calling thread", "on a pool thread"])
def test_an_error_is_raised_after_every_range_has_ended(broken):
    ended = []

    def step(start, stop):
        if start == broken:
            raise RuntimeError("broken")
        ended.append(start)

    with pytest.raises(RuntimeError, match="broken"):
        split(10, 2, step)
    assert ended == [5 - broken]


def test_cores_are_those_the_process_may_use(monkeypatch):
    assert 1 <= cores() <= os.cpu_count()
    monkeypatch.delattr(threads.os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()
    monkeypatch.setattr(threads.os, "cpu_count", lambda: None)
    assert cores() == 1
