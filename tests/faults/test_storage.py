"""A full disk, a read-only one, too little memory.

See also test_journal.py and TestStorage in test_documents.py, where a limit of SQLite ends a transaction in its middle.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer import BuildOptions, Corpus, Document, Generations, Index, build_index, snapshot_index
from indexer.building.compact import compact_index
from indexer.errors import BundleStorageError, OutOfMemoryError
from indexer.shortlist import shortlist_type
from indexer.shortlist.flat import FlatShortlist
from indexer.storage.manifest import Manifest
from indexer.updates import Updates, update_facts
from service import Settings, create_app
from tests.conftest import make_encoder, write_lines
from tests.faults.conftest import full_disk, little_memory
from tests.indexer.shortlists import VARIANTS, build, prefixes
from tests.service.applications import ask, serve

KEPT = "Nothing that was published or acknowledged is lost"


class TestFullDisk:
    @pytest.mark.parametrize("size", [100, 5_000, 20_000, 50_000, 100_000])
    def test_a_build_ends_with_one_clear_error_and_the_same_command_goes_on(self, root, mrl, size):
        rows = [{"_id": f"n{i}", "text": f"w{i % 300} w{i % 7} w{i % 11}"} for i in range(2000)]
        corpus = write_lines(root.parent / "more.jsonl", rows)
        model = _model_of(root)
        build = [
            "index",
            "build",
            corpus,
            "--out",
            root,
            "--model",
            model,
            "--shortlist",
            "hnsw",
            "--batch-size",
            "500",
        ]
        with full_disk(size):
            status, out, err = mrl(*build)
        assert (status, out) == (1, "")
        last = err.rstrip().splitlines()[-1]
        assert last.startswith("error: cannot ")
        assert KEPT in last
        assert "Traceback" not in err
        with Index.open(root) as index:
            assert (index.generation, len(index)) == ("000001", 1000)
            assert index.search(["w1"]).hits[0]
        status, _, err = mrl(*build)
        assert status == 0, err
        with Index.open(root, verify="all") as index:
            assert index.generation > "000001"
            assert len(index) == 2000

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_no_structure_is_cut_off_without_a_word(self, tmp_path, variant):
        """A manifest would give what is there its checksum."""
        kind = shortlist_type(VARIANTS[variant][0])
        if why := kind.unavailable():
            pytest.skip(why)
        structure = build(variant, prefixes(500, dims=64))
        structure.save(tmp_path / "whole")
        for left in (1, 500):
            with full_disk((tmp_path / "whole").stat().st_size - left), pytest.raises((RuntimeError, OSError)):
                structure.save(tmp_path / "cut off")

    def test_a_compaction_leaves_everything_as_it_was_and_no_litter(self, root, mrl):
        with Updates.open(root) as updates:
            updates.upsert([Document(f"n{i}", "w1 w2 w3", {"text": "w1 w2 w3"}) for i in range(500)])
        before = update_facts(root)
        for size in (5_000, 60_000, 90_000):
            with full_disk(size):
                status, out, err = mrl("index", "compact", root)
            assert (status, out) == (1, "")
            assert KEPT in err
            assert err.rstrip().splitlines()[-1].startswith("error: cannot ")
            assert update_facts(root)[:4] == before[:4]
            assert [path.name for path in (root / "generations").iterdir()] == ["000001"]
        assert mrl("index", "compact", root)[0] == 0
        assert update_facts(root)[:3] == (1500, 0, 0)

    def test_a_snapshot_leaves_nothing_behind(self, root, mrl):
        with Updates.open(root) as updates:
            updates.upsert([Document(f"n{i}", "w1", {"padding": "w1 " * 100}) for i in range(300)])
        target = root.parent / "copies" / "one"
        with full_disk(10_000):
            status, _, err = mrl("index", "snapshot", root, target, "--copy")
        assert status == 1
        assert KEPT in err
        assert list(target.parent.iterdir()) == []
        assert mrl("index", "snapshot", root, target)[0] == 0

    def test_what_writes_over_http_is_refused_and_searches_go_on(self, root):
        async def scenario(client, engine):
            assert (await client.put("/v1/documents/kept", json={"text": "w1", "n": 1})).status_code == 201
            body = "".join(json.dumps({"_id": f"n{i}", "text": "w1 " * 500}) + "\n" for i in range(200))
            with full_disk(100_000):
                for refused in (
                    await client.post("/v1/documents", content=body),
                    await client.put("/v1/documents/kept", json={"text": "w1 " * 60_000}),
                ):
                    assert refused.status_code == 507
                    assert refused.json()["error"]["code"] == "storage_failed"
                    assert refused.json()["error"]["type"] == "service_error"
                    assert "journal.sqlite" in refused.json()["error"]["message"]
                assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200
                assert (await client.get("/v1/documents/kept")).json()["payload"] == {"text": "w1", "n": 1}
            assert (await client.post("/v1/documents", content=body)).json()["added"] == 200

        serve(root, scenario)
        with Index.open(root, verify="all") as index:
            assert len(index) == 1201


READ_ONLY = """
import asyncio, json, os, sys
from pathlib import Path
import httpx
from indexer import Corpus, Document, Generations, Index, calibrate_index, snapshot_index
from indexer.building.build import build_index
from indexer.building.compact import compact_index
from indexer.errors import BundleError
from models import load_encoder
from service import Settings, create_app

model, warm, *roots = map(Path, sys.argv[1:])
encoder = load_encoder(str(model))
with Index.open(warm, encoder=encoder) as index:  # what is compiled or loaded here need not be found later
    index.upsert([Document("x", "w1", {})])
    index.search(["w1"])
if os.geteuid() == 0:  # who may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

def told(step):
    try:
        step()
    except BundleError as error:
        return f"{type(error).__name__}: {error}"
    return "done"

async def over_http(root):
    app = create_app(Settings(index=root, model=str(model), auth="off", watch_share=1, follow_seconds=0))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await app.state.engine.load()
        answers = [
            await client.post("/v1/search", json={"query": "w1"}),
            await client.get("/v1/documents/1"),
            await client.put("/v1/documents/x", json={"text": "w1"}),
            await client.delete("/v1/documents/1"),
            await client.post("/v1/index/rollback", json={"to": "1"}),
            await client.get("/readyz"),
        ]
        await app.state.engine.close()
    return [(answer.status_code, answer.json().get("error", {}).get("message")) for answer in answers]

for root in roots:
    try:
        with Index.open(root, encoder=encoder, verify="all") as index:
            facts = {
                "documents": len(index),
                "hits": len(index.search(["w1 w2"]).hits[0]),
                "upsert": told(lambda: index.upsert([Document("x", "w1", {})])),
                "delete": told(lambda: index.delete(["1"])),
            }
        facts["compact"] = told(lambda: compact_index(root))
        facts["calibrate"] = told(lambda: calibrate_index(root, encoder=encoder))
        facts["rollback"] = told(lambda: Generations(root).rollback("1"))
        facts["build"] = told(lambda: build_index(Corpus([root.parent / "corpus.jsonl"]), encoder, root))
        facts["snapshot"] = told(lambda: snapshot_index(root, root / "copy"))
        facts["http"] = asyncio.run(over_http(root))
    except BundleError as error:
        facts = {"error": str(error)}
    print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def read_only(built, tmp_path_factory):
    """What a process that may only read finds of three indexes: by their names."""
    folder = Path(tempfile.mkdtemp(prefix="mrl-read-only-"))  # not in pytest's, into which other users cannot look
    try:
        folder.chmod(0o755)
        shutil.copytree(_model_of(built), folder / "model")
        subprocess.run(["chmod", "-R", "a+rX", str(folder / "model")], check=True)
        shutil.copy(built.parent / "corpus.jsonl", folder / "corpus.jsonl")
        shutil.copytree(built, folder / "warm")
        shutil.copytree(built, folder / "never", ignore=shutil.ignore_patterns("journal"))
        with Updates.open(shutil.copytree(built, folder / "open")) as updates:
            updates.upsert([Document("new", "w1 w2", {"text": "w1 w2"})])
            # As a killed process leaves it: the newest updates are in the log beside the file.
            shutil.copytree(folder / "open", folder / "killed")
            assert (folder / "killed" / "journal" / "journal.sqlite-wal").stat().st_size
        (folder / "open").rename(folder / "closed")
        roots = [folder / name for name in ("never", "closed", "killed")]
        for root in roots:
            subprocess.run(["chmod", "-R", "a-w,a+rX", str(root)], check=True)
        program = [sys.executable, "-c", READ_ONLY, str(folder / "model"), str(folder / "warm"), *map(str, roots)]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "HOME": str(folder)}
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        if "Operation not permitted" in done.stderr and "setuid" in done.stderr:
            pytest.skip("root cannot become another user here, and so may write everywhere")
        assert done.returncode == 0, done.stderr
        yield {root.name: json.loads(line) for root, line in zip(roots, done.stdout.splitlines(), strict=True)}
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)


def _model_of(root):
    return Manifest.read(root / "generations" / "000001").model.name


@pytest.mark.parametrize(("name", "documents"), [("never", 1000), ("closed", 1001), ("killed", 1001)])
def test_a_read_only_index_is_searched_and_served_and_every_change_refused(read_only, name, documents):
    facts = read_only[name]
    assert (facts.get("documents"), facts.get("hits")) == (documents, 10), facts
    for step in ("upsert", "delete", "compact", "calibrate", "rollback", "build", "snapshot"):
        assert facts[step].startswith("BundleStorageError: cannot "), (step, facts[step])
    searched, read, put, deleted, rolled_back, ready = facts["http"]
    assert [searched[0], read[0], ready[0]] == [200, 200, 200], facts["http"]
    assert [put[0], deleted[0], rolled_back[0]] == [507, 507, 409]
    for _, message in (put, deleted):
        assert "journal" in message
    assert "cannot change" in rolled_back[1]


class TestMemory:
    def test_a_build_that_gets_too_little_says_what_to_do_and_goes_on_with_more(self, tmp_path):
        class Hungry:
            """Needs 4 GB at its second batch."""

            calls = 0

            def __getattr__(self, name):
                return getattr(make_encoder(), name)

            def encode_documents(self, texts):
                self.calls += 1
                if self.calls == 2:
                    np.ones(4 << 30, np.uint8)
                return make_encoder().encode_documents(texts)

        rows = [{"_id": str(i), "text": f"w{i % 300}"} for i in range(200)]
        corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", rows)])
        options = BuildOptions(dims=16, batch_size=50)
        with (
            little_memory(1 << 30),
            pytest.raises(OutOfMemoryError, match=rf"not enough memory .*{KEPT}: .*--no-resume"),
        ):
            build_index(corpus, Hungry(), tmp_path / "index", options)
        assert build_index(corpus, make_encoder(), tmp_path / "index", options).resumed_rows == 50

    def test_a_structure_that_does_not_fit_is_not_called_damaged(self, tmp_path):
        index = faiss.IndexFlatIP(64)
        index.add(np.zeros((1 << 18, 64), np.float32))
        path = tmp_path / "shortlist.faiss"
        faiss.write_index(index, str(path))
        # In a process of its own: other tests' threads may free addresses in the middle.
        program = (
            "import sys, pathlib; from tests.faults.conftest import little_memory; "
            "from indexer.shortlist.flat import FlatShortlist\n"
            "with little_memory(4 << 20): FlatShortlist.load(pathlib.Path(sys.argv[1]))"
        )
        ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
        assert re.search(r"OutOfMemoryError: there is not enough memory to read .*faiss, of \d+", ran.stderr)
        assert FlatShortlist.load(path)

    def test_a_request_that_gets_too_little_is_told_to_try_again(self):
        app = create_app(Settings(index=Path("/no/index"), auth="off"))

        @app.get("/hungry")
        async def hungry():
            return len(np.ones(1 << 50, np.uint8))

        (answer,) = ask(("GET", "/hungry"), app=app)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
        assert answer.headers["retry-after"] == "1"

    def test_a_command_that_gets_too_little_says_so_on_one_line(self, root, mrl, monkeypatch):
        monkeypatch.setattr("service.commands.search.Index.open", lambda *_, **__: np.ones(1 << 50, np.uint8))
        status, out, err = mrl("search", root, "w1")
        assert (status, out) == (1, "")
        assert err.startswith("error: out of memory (Unable to allocate")
        assert err.count("\n") == 1


def _append_until_refused(updates, done):
    while True:
        documents = [Document(f"{done}-{i}", "w1 w2", {"padding": "w1 " * 100}) for i in range(10)]
        try:
            updates.upsert(documents)
        except BundleStorageError as error:
            return done, str(error)
        done += 1
        assert done < 1000


def test_a_full_disk_in_the_middle_of_many_appends_loses_no_batch(root):
    """The limit is met anywhere: each batch that was acknowledged is there, and the one that failed is not."""
    done = 0
    with closing(Updates.open(root)) as updates:
        for size in (40_000, 80_000, 160_000, 320_000):
            with full_disk(size):
                done, message = _append_until_refused(updates, done)
            assert "journal.sqlite" in message
            with Index.open(root, verify="all") as index:
                found = index.get([f"{number}-{i}" for number in range(done + 1) for i in range(10)])
                assert len(found) in (10 * done, 10 * (done + 1))
                assert len(index.get([f"{done}-{i}" for i in range(10)])) in (0, 10)
    assert done > 4
    compact_index(root)
    snapshot_index(root, root.parent / "copy")
    assert Generations(root.parent / "copy").published() == "000002"
