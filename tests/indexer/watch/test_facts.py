import os
from collections import Counter

import numpy as np
import pytest

from indexer.interval import mean_interval
from indexer.watch.facts import Estimate, Level, LevelFacts, Watched, WatchFacts, watch_facts, write_watched


def watched_at(since, until, level, **counts):
    return Watched(
        generation="000001",
        since=f"2026-01-01T{since}:00Z",
        until=f"2026-01-01T{until}:00Z",
        levels=[level] if level else [],
        **counts,
    )


def level_of(promised, recall, queries, recent=None):
    return Level(promised=promised, overall={recall: queries}, recent={recall: recent or queries})


def test_a_promise_that_is_barely_kept_raises_no_alarm():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(20):
        stream = (rng.binomial(10, 0.95, 2000) / 10).tolist()
        for end in range(100, 2001, 100):
            _, high = mean_interval(Counter(stream[max(0, end - 1000) : end]), 0.95)
            alarms += high < 0.95
    assert alarms == 0


def test_processes_are_added_up_and_old_ones_count_overall_only(tmp_path):
    write_watched(watched_at("08:00", "09:00", level_of(0.95, 0.5, 100), sampled=101, dropped=1), tmp_path, "old")
    write_watched(watched_at("10:00", "12:00", level_of(0.95, 1.0, 300, 200), sampled=300), tmp_path, "one")
    write_watched(watched_at("11:00", "13:00", level_of(0.95, 0.9, 100), sampled=104, dropped=4), tmp_path, "two")
    write_watched(watched_at("08:00", "08:30", level_of(0.99, 0.5, 100), sampled=100), tmp_path, "older")
    facts = watch_facts(tmp_path, "000001")
    (level,) = facts.levels
    assert (facts.sampled, facts.dropped, facts.since.hour, facts.until.hour) == (605, 5, 8, 13)
    assert (level.recent.queries, level.recent.recall) == (300, pytest.approx((200 + 90) / 300))
    assert (level.overall.queries, level.overall.recall) == (500, pytest.approx((50 + 300 + 90) / 500))


def test_a_file_that_cannot_be_read_is_skipped_with_a_warning(tmp_path, caplog):
    write_watched(watched_at("08:00", "09:00", level_of(0.95, 1.0, 3)), tmp_path, "good")
    for name, content in (("cut", '{"format_version": 1'), ("odd", '{"format_version": 1, "levels": [{}]}')):
        (tmp_path / "watch" / f"000001-{name}.json").write_text(content)
    assert watch_facts(tmp_path, "000001").levels[0].overall.queries == 3
    assert caplog.text.count("cannot read") == 2


def test_the_oldest_files_are_deleted(tmp_path):
    for number in range(40):
        write_watched(watched_at("08:00", "09:00", None), tmp_path, f"{number:02}")
        os.utime(tmp_path / "watch" / f"000001-{number:02}.json", (number, number))
    assert sorted(path.name for path in (tmp_path / "watch").iterdir()) == [
        f"000001-{number:02}.json" for number in range(8, 40)
    ]


def test_an_estimate_is_the_mean_and_its_interval():
    estimate = Estimate.of({1.0: 3, 0.5: 1})
    assert (estimate.queries, estimate.recall) == (4, 0.875)
    assert (estimate.low, estimate.high) == mean_interval({1.0: 3, 0.5: 1}, 0.95)


@pytest.mark.parametrize(
    ("promised", "alarm", "message"),
    [
        (0.95, True, "promised 0.950, live 0.500 [0."),
        (0.4, False, "promised 0.400, live 0.500 [0."),
        (None, False, "plans without calibration, live 0.500 [0."),
    ],
)
def test_an_alarm_is_raised_if_the_interval_lies_below_the_promise(promised, alarm, message):
    facts = LevelFacts.of(promised, {0.5: 200}, {0.5: 200, 1.0: 100})
    assert (facts.alarm, facts.overall.queries) == (alarm, 300)
    assert facts.message.startswith(message)
    assert ("below the promise; queries or documents have changed" in facts.message) == alarm


def test_levels_are_sorted_by_promise_and_any_alarm_is_reported():
    levels = [level_of(None, 1.0, 5), level_of(0.7, 1.0, 5), level_of(0.95, 0.1, 500)]
    facts = WatchFacts.of([watched_at("08:00", "09:00", None).model_copy(update={"levels": levels})])
    assert [level.promised for level in facts.levels] == [0.95, 0.7, None]
    assert facts.alarm


def test_a_generation_nobody_watched_has_no_facts(tmp_path):
    assert watch_facts(str(tmp_path), "000001") is None
