"""``kill -9`` of a service at random moments of its clients' writes: no acknowledged write is lost or half applied.

A served index gets bulk upserts, single upserts and deletes over HTTP from several clients, and compacts in between.
The server and its child processes are killed repeatedly, mostly during writes, sometimes during start-up. After each
restart, every id must be in the state of its last acknowledged write, or of a later one that was sent, both when read
by id and when found by a search.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.report import save
from indexer import BuildOptions, Corpus, build_index
from models import load_encoder

ROWS = 300
CLIENTS = 3
IDS = 60
"""Ids of each client; no two clients write to the same id."""
DELETED = "deleted"
START_SECONDS = 60
KILLED_AT_START = 0.1
"""Share of kills before the server is ready."""
LONG = 0.25
"""Share of the remaining kills late enough for a compaction to have been published."""


@dataclass
class State:
    """A client's view of its documents. Values are numbers that never repeat.

    Attributes:
        acknowledged: the last acknowledged value of each id.
        sent: values sent since, without an answer yet.
    """

    acknowledged: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, list[Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def allowed(self, identifier: str) -> list[Any]:
        return [self.acknowledged.get(identifier, DELETED), *self.sent.get(identifier, [])]

    def settle(self, identifier: str, value: Any) -> None:
        self.acknowledged[identifier] = value
        self.sent.pop(identifier, None)


class Writer(threading.Thread):
    """Writes, and reads its own writes back, until the server is gone."""

    def __init__(self, url: str, name: str, state: State, seed: str) -> None:
        super().__init__(name=name)
        self.url, self.state, self.random = url, state, random.Random(seed)
        self.problem: BaseException | None = None
        self.going = threading.Event()

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as client:
                while True:
                    self.write(client)
                    self.going.set()
        except httpx.TransportError:
            pass  # the server was killed
        except BaseException as error:
            self.problem = error

    def write(self, client: httpx.Client) -> None:
        ids = [f"{self.name}/{number}" for number in self.random.sample(range(IDS), self.random.randint(1, 30))]
        kind = self.random.choices(("lines", "put", "delete", "delete_many"), (5, 3, 1, 1))[0]
        if kind in ("put", "delete"):
            ids = ids[:1]
        value: Any = DELETED if kind.startswith("delete") else self.random.getrandbits(60)
        for one in ids:
            self.state.sent.setdefault(one, []).append(value)
        row = {"text": f"text {value} of a document", "value": value}
        if kind == "lines":
            body = "".join(json.dumps({"_id": one, **row}) + "\n" for one in ids)
            response = client.post("/v1/documents", content=body)
            assert response.status_code != 200 or response.json()["rejected"] == 0, response.text
        elif kind == "put":
            response = client.put(f"/v1/documents/{ids[0]}", json=row)
        elif kind == "delete":
            response = client.delete(f"/v1/documents/{ids[0]}")
        else:
            response = client.post("/v1/documents/delete", json={"ids": ids})
        assert response.status_code in (200, 201, 404), response.text
        for one in ids:
            self.state.settle(one, value)
        self.state.counts[kind] += 1
        read = client.get(f"/v1/documents/{ids[0]}")
        there = read.json()["payload"]["value"] if read.status_code == 200 else DELETED
        assert there == value, f"{ids[0]}: {there} was read after {value} was acknowledged"


@contextmanager
def server(root: Path, port: int, log: Any) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "service", "serve", str(root), "--port", str(port), "--auth", "off"]
    options = ["--watch-share", "0", "--log-level", "warning", "--follow-seconds", "0.5", "--compact-after", "60"]
    # Its own session, so that a compaction it has started is killed with it.
    process = subprocess.Popen([*command, *options], stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with status {process.returncode}"
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"not ready after {START_SECONDS} seconds")


def verify(url: str, states: dict[str, State]) -> int:
    """Compare the server's state with the clients' views, and adopt it as the new state."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        body = {"query": "a document", "k": 1000, "candidates": 1000, "include": ["value"]}
        hits = client.post("/v1/search", json=body).raise_for_status().json()["results"]
        found = {hit["id"]: hit["payload"].get("value") for hit in hits}
        assert len(found) == len(hits) == client.get("/v1/index").json()["documents"]
        assert {f"base {number}" for number in range(ROWS)} <= found.keys(), "a document of the build is lost"
        for name, state in states.items():
            for identifier in (f"{name}/{number}" for number in range(IDS)):
                value = found.get(identifier, DELETED)
                allowed = state.allowed(identifier)
                assert value in allowed, f"{identifier} is {value}; acknowledged and sent were {allowed}"
                read = client.get(f"/v1/documents/{identifier}")
                assert (read.json()["payload"]["value"] if read.status_code == 200 else DELETED) == value
                state.settle(identifier, value)
    return len(found)


def trial(root: Path, port: int, states: dict[str, State], number: int, moments: random.Random, log: Any) -> Any:
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    if moments.random() < KILLED_AT_START:
        with server(root, port, log):
            time.sleep(moments.uniform(0.2, 2))
        return {"killed": "starting", "seconds": round(time.monotonic() - started, 2)}
    before = sum((state.counts for state in states.values()), Counter())
    with server(root, port, log) as process:
        wait_until_ready(process, url)
        ready = time.monotonic() - started
        documents = verify(url, states)
        writers = [Writer(url, name, state, f"{number} {name}") for name, state in states.items()]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.going.wait(START_SECONDS)
        time.sleep(moments.uniform(3, 7) if moments.random() < LONG else moments.uniform(0, 2))
        assert process.poll() is None, "the server ended by itself"
    for writer in writers:
        writer.join(START_SECONDS)
        if writer.problem is not None:
            raise writer.problem
    writes = sum((state.counts for state in states.values()), Counter()) - before
    unanswered = sum(len(state.sent) for state in states.values())
    return {
        "killed": "writing",
        "seconds": round(time.monotonic() - started, 2),
        "ready_after": round(ready, 2),
        "documents": documents,
        "acknowledged": dict(writes),
        "ids_unanswered": unanswered,
        "generation": (root / "CURRENT").read_text().strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    states = {f"client {number}": State() for number in range(CLIENTS)}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "server.log").open("wb") as log:
        root = Path(folder)
        rows = [{"_id": f"base {number}", "text": f"document {number} of the build"} for number in range(ROWS)]
        (root / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        build = BuildOptions(calibration=None)
        build_index(Corpus([root / "corpus.jsonl"]), load_encoder("wordllama"), root / "index", build)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        trials = []
        try:
            for number in range(options.kills):
                trials.append(trial(root / "index", port, states, number, moments, log))
                print(number, trials[-1], file=sys.stderr)
            with server(root / "index", port, log) as process:
                url = f"http://127.0.0.1:{port}"
                wait_until_ready(process, url)
                documents = verify(url, states)
        except BaseException:
            sys.stderr.write((root / "server.log").read_text(encoding="utf-8", errors="replace")[-5000:])
            raise
    acknowledged = sum((state.counts for state in states.values()), Counter())
    facts = {"kills": options.kills, "lost": 0, "documents": documents, "acknowledged_requests": dict(acknowledged)}
    save("service_kill", {**facts, "trials": trials})


if __name__ == "__main__":
    main()
