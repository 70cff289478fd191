"""Two that change an index at once, one that is killed, and clocks that jump.

See also tests/indexer/building/, where processes are killed at every step, and
benchmarks/kill_build.py, kill_updates.py and service_kill.py, where they are killed at random moments.
"""

import asyncio
import os
import re
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

import indexer.building.assemble
import indexer.calibration.run
import indexer.watch.record
import service.security.keys
from indexer import BuildOptions, Corpus, Document, Generations, Index, SearchOptions, build_index
from indexer.calibration import CalibrationOptions
from indexer.storage.manifest import Manifest
from indexer.updates import Updates, update_facts
from indexer.watch import WatchOptions, watch_facts
from service.security.key_ring import KeyRing
from service.security.keys import create_key, read_keys
from service.settings import Settings
from tests.conftest import make_encoder, make_texts, write_lines
from tests.service.applications import serve, until


def _model_of(root):
    return Manifest.read(root / "generations" / "000001").model.name


class TestTwoAtOnce:
    def test_the_second_command_is_told_and_the_first_is_not_disturbed(self, root, mrl):
        with Updates.open(root) as updates:
            updates.upsert([Document("new", "w1", {})])
        commands = (
            [
                "index",
                "build",
                root.parent / "corpus.jsonl",
                "--out",
                root,
                "--model",
                _model_of(root),
            ],
            ["index", "compact", root],
            ["index", "calibrate", root],
            ["index", "rollback", root],
        )
        with Generations(root).locked():
            for command in commands:
                status, out, err = mrl(*command)
                assert (status, out) == (1, ""), command
                assert re.search(r"error: another process is changing .*: wait until it has finished", err)
            # Neither searches, nor updates, nor snapshots wait for a build.
            assert mrl("search", root, "w1")[0] == 0
            assert mrl("index", "delete", root, "new")[0] == 0
            assert mrl("index", "snapshot", root, root.parent / "copy")[0] == 0
        assert mrl(*commands[1])[0] == 0

    def test_over_http_it_is_a_conflict(self, root):
        async def scenario(client, engine):
            with Generations(root).locked():
                refused = await client.post("/v1/index/rollback", json={"to": "1"})
                assert (refused.status_code, refused.json()["error"]["code"]) == (409, "cannot_roll_back")
                assert "another process is changing" in refused.json()["error"]["message"]
            assert (await client.post("/v1/index/rollback", json={"to": "1"})).status_code == 200

        serve(root, scenario)


def test_a_compaction_that_the_system_kills_is_told_and_nothing_is_lost(root):
    async def scenario(client, engine):
        await client.put("/v1/documents/new", json={"text": "w1"})
        assert (await client.post("/v1/index/compact")).status_code == 202
        while engine.compaction._process is None:
            await asyncio.sleep(0.005)
        os.kill(engine.compaction._process.pid, signal.SIGKILL)

        async def ended():
            return (await client.get("/v1/index")).json()["compaction"]["state"] != "running"

        await until(ended)
        facts = (await client.get("/v1/index")).json()["compaction"]
        assert facts["state"] == "failed"
        assert facts["message"].startswith("killed (SIGKILL), usually because memory ran out")
        assert (await client.get("/v1/documents/new")).status_code == 200
        assert (await client.post("/v1/index/compact")).status_code == 202, "it can be tried again"

    serve(root, scenario)
    assert update_facts(root).documents == 1001


class TestClock:
    """It is set back by a year, again and again."""

    @pytest.fixture
    def clock(self, monkeypatch):
        class Clock(datetime):
            shift = timedelta()

            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + cls.shift

        for module in (
            indexer.building.assemble,
            indexer.calibration.run,
            indexer.watch.record,
            service.security.keys,
        ):
            monkeypatch.setattr(module, "datetime", Clock)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + Clock.shift.total_seconds())
        return Clock

    def test_generations_and_updates_keep_their_order(self, tmp_path, clock):
        root = tmp_path / "index"
        options = BuildOptions(dims=16, keep=3, calibration=CalibrationOptions(seconds=0.2))

        def back(event):
            clock.shift -= timedelta(days=365) if clock.shift > -timedelta(days=365 * 40) else timedelta()

        for count in (30, 20, 10):
            rows = [{"_id": str(i), "text": text} for i, text in enumerate(make_texts(count))]
            build_index(Corpus([write_lines(tmp_path / "c.jsonl", rows)]), make_encoder(), root, options, report=back)
        generations = Generations(root)
        created = [Manifest.read(generations.path(name)).created for name in generations.complete()]
        assert created == sorted(created, reverse=True)
        with Index.open(root, encoder=make_encoder()) as index:
            assert (index.generation, len(index)) == ("000003", 10)
            for text in ("w1", "w2"):
                clock.shift -= timedelta(days=365)
                index.upsert([Document("same", text, {"text": text})])
            assert index.get(["same"])["same"].payload == {"text": "w2"}
        assert generations.rollback() == ("000003", "000002")
        assert generations.rollback("3") == ("000002", "000003")

    def test_live_recall_goes_on_being_told(self, root, clock):
        with Index.open(root, watch=WatchOptions(share=1, budget=1, save_seconds=0)) as index:
            for _ in range(5):
                index.search(["w1 w2"], SearchOptions(candidates=50))
                clock.shift -= timedelta(days=365)
                assert index.watch.wait(20)
            assert index.watch.facts().levels
        found = watch_facts(root, "000001")
        assert found.until < found.since
        assert sum(level.recent.queries for level in found.levels) > 0

    def test_keys_end_by_the_clock_and_changed_files_are_read_whatever_their_time(self, tmp_path, clock, monkeypatch):
        file = tmp_path / "keys.json"
        year = timedelta(days=365)
        secret = create_key(file, "short", ["read"], datetime.now(UTC) + timedelta(days=1))
        ring = KeyRing.from_settings(Settings(index="x", keys=file))
        found = ring.find(secret.encode())
        assert not found.expired
        clock.shift = year
        assert found.expired
        clock.shift = -year
        assert not found.expired, "an end is a time of day: who sets the clock back gives the time again"
        another = create_key(file, "another", ["write"])
        os.utime(file, (0, 0))
        monkeypatch.setattr("service.security.key_ring.monotonic", lambda: time.monotonic() + 2)
        assert ring.find(another.encode()).name == "another"
        assert [key.name for key in read_keys(file)] == ["short", "another"]
