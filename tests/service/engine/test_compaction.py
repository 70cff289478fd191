import asyncio
import signal

import pytest

from indexer import Document, Generations
from service import Settings
from service.engine.compaction import Compaction
from service.errors import ServiceError
from tests.service.applications import serve, until


def test_updates_are_compacted_while_searches_continue(root):
    async def scenario(client, engine):
        await engine.write(lambda: engine.index.upsert([Document("new", "w5 w6", {"n": 1})]))
        assert (await client.get("/v1/index")).json()["updates"] == 1
        started = await client.post("/v1/index/compact")
        assert (started.status_code, started.json()["state"]) == (202, "running")
        again = await client.post("/v1/index/compact")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "busy")

        async def ended():
            assert (await client.post("/v1/search", json={"query": "w5 w6"})).json()["results"][0]["id"] == "new"
            return (await client.get("/v1/index")).json()["compaction"]["state"] != "running"

        await until(ended)
        facts = (await client.get("/v1/index")).json()
        assert (facts["compaction"]["state"], facts["compaction"]["generation"]) == ("done", "000002")

        async def served():
            facts = (await client.get("/v1/index")).json()
            return (facts["generation"], facts["updates"], facts["documents"]) == ("000002", 0, 1001)

        await until(served)

    serve(root, scenario, follow_seconds=0.1)


def test_many_updates_start_a_compaction(root):
    async def scenario(client, engine):
        documents = [Document(f"new {i}", f"w{i}", {}) for i in range(6)]
        await engine.write(lambda: engine.index.upsert(documents))

        async def served():
            return (await client.get("/v1/index")).json()["generation"] == "000002"

        await until(served)

    serve(root, scenario, follow_seconds=0.1, compact_after=5)


def test_a_failure_is_reported(root):
    async def scenario(client, engine):
        await engine.write(lambda: engine.index.upsert([Document("new", "w5", {})]))
        with Generations(root).locked():
            await client.post("/v1/index/compact")

            async def failed():
                return (await client.get("/v1/index")).json()["compaction"]["state"] == "failed"

            await until(failed)
        facts = (await client.get("/v1/index")).json()["compaction"]
        assert "another process is changing" in facts["message"]

    serve(root, scenario)


class Process:
    """A compaction's process that ends as the test says."""

    pid, returncode = 1 << 30, None  # no process has this number

    def __init__(self, returncode=0, out=b"", err=b""):
        self._outcome = returncode, out, err
        self._ended = asyncio.Event()
        self.terminated = False

    def terminate(self):
        self.terminated = True
        self._outcome = -signal.SIGTERM, b"", b""
        self._ended.set()

    def end(self):
        self._ended.set()

    async def communicate(self):
        await self._ended.wait()
        self.returncode, out, err = self._outcome
        return out, err


def run_compaction(monkeypatch, process, scenario, **settings):
    """Run ``scenario(compaction)`` with a process in place of the real one; return the commands that were started."""
    commands = []

    async def start(*command, env, **_):
        if isinstance(process, Exception):
            raise process
        commands.append((command, env))
        return process

    async def go():
        compaction = Compaction(Settings(index="/some/index", auth="off", **settings))
        await asyncio.wait_for(scenario(compaction), 10)

    monkeypatch.setattr("service.engine.compaction.asyncio.create_subprocess_exec", start)
    asyncio.run(go())
    return commands


def test_the_command_has_the_services_settings_and_no_secrets(monkeypatch):
    monkeypatch.setenv("MRL_API_KEY", "secret")
    monkeypatch.setenv("PATH_OF_THIS_TEST", "kept")
    process = Process(out=b'{"generation": "000007"}')

    async def scenario(compaction):
        assert compaction.facts.state == "none"
        assert compaction.start().state == "running"
        with pytest.raises(ServiceError, match="already running"):
            compaction.start()
        process.end()
        while compaction.running:
            await asyncio.sleep(0)
        assert (compaction.facts.state, compaction.facts.generation) == ("done", "000007")
        assert compaction.facts.started <= compaction.facts.ended
        await compaction.close()

    ((command, environment),) = run_compaction(monkeypatch, process, scenario, model="/models/m", keep_generations=3)
    assert command[1:] == (
        *("-m", "service", "index", "compact", "/some/index", "--json"),
        *("--device", "auto", "--keep", "3", "--model", "/models/m"),
    )
    assert "MRL_API_KEY" not in environment
    assert environment["PATH_OF_THIS_TEST"] == "kept"


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (lambda: Process(1, err=b"warning\nerror: the disk is full\n"), "error: the disk is full"),
        (lambda: Process(3), "exit status 3"),
        (lambda: Process(-signal.SIGKILL), "killed (SIGKILL), usually because memory ran out"),
        (lambda: OSError("no more processes"), "no more processes"),
    ],
    ids=["message", "status", "killed", "not started"],
)
def test_the_reason_of_a_failure_is_kept_and_logged(monkeypatch, caplog, process, message):
    async def scenario(compaction):
        compaction.start()
        while compaction.running:
            if isinstance(process, Process):
                process.end()
            await asyncio.sleep(0)
        assert compaction.facts.state == "failed"
        assert compaction.facts.message.startswith(message)

    process = process()
    run_compaction(monkeypatch, process, scenario)
    assert message in caplog.text


def test_a_running_compaction_is_stopped_with_the_service(monkeypatch):
    process = Process()

    async def scenario(compaction):
        compaction.start()
        await asyncio.sleep(0.01)
        await compaction.close()
        assert compaction.facts.state == "failed"

    run_compaction(monkeypatch, process, scenario)
    assert process.terminated
