"""Damaged, shortened and missing files; other formats, other models. See also test_generations.py."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.faults import files_of, trials, verified
from indexer import BuildOptions, BundleError, Corpus, Document, Generations, Index, LexicalOptions, build_index
from indexer.building.compact import compact_index
from indexer.errors import BundleCorruptError, BundleFormatError, ModelMismatchError
from indexer.storage.journal import Journal
from indexer.storage.manifest import Manifest
from indexer.updates import Updates
from models import load_encoder
from models.training.trainable import as_trainable
from service import Settings
from service.http.server import running
from tests.conftest import make_encoder, make_texts, write_lines
from tests.service.applications import build_again, serve, until

ENCODER = make_encoder()
FILES = ["manifest.json", "vectors.npy", "documents.sqlite", "distinct.safetensors", "prefix_norms.f32"]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """An index with every kind of file in it, and with updates."""
    root = tmp_path_factory.mktemp("full")
    rows = [{"_id": str(i), "text": text, "n": i} for i, text in enumerate(make_texts(200))]
    corpus = Corpus([write_lines(root / "corpus.jsonl", [*rows, {"text": "no id"}])])
    options = BuildOptions(dims=16, shortlist="hnsw", filterable=("n",), lexical=LexicalOptions())
    build_index(corpus, ENCODER, root / "index", options)
    with Updates.open(root / "index", encoder=ENCODER) as updates:
        updates.upsert([Document(f"new {i}", "w1 w2", {"n": i}) for i in range(50)])
        updates.delete(["3", "4"])
    return root / "index"


def damage(path, place=-40):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_changed_bit_in_any_of_200_places_is_found_and_named(full):
    found = trials(full, ENCODER, ["w1 w2", "w3"], 200, seed=7)
    manifest = Manifest.read(full / "generations" / "000001")
    assert len(found) == len(manifest.files) + 4, "with the manifest, CURRENT, and two of the journal"
    for name in ("manifest.json", *manifest.files):
        assert set(found[name]) == {"refused"}, name
    assert found["journal.sqlite"]["refused"] > 0
    assert set(found["latest"]) == {"harmless"}, "it only says that there may be something to read"
    verified(full)


@pytest.mark.parametrize("how", ["shortened", "missing"])
def test_a_shortened_or_missing_file_is_named_and_a_copy_of_it_mends_the_index(full, tmp_path, how, mrl):
    root = shutil.copytree(full, tmp_path / "index")
    for path in files_of(root):
        if path.name == "latest":
            continue
        whole = path.read_bytes()
        if how == "missing":
            path.unlink()
        else:
            path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BundleError) as caught:
            Index.open(root, encoder=ENCODER, verify="sizes")
        told = str(caught.value)
        assert path.name in told or (path.name == "CURRENT" and "no index is published" in told), told
        status, out, err = mrl("index", "verify", root)
        assert (status, out) == (1, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        if how == "missing" and path.name == "journal.sqlite":
            with (
                Updates.open(root, encoder=ENCODER) as updates,
                pytest.raises(BundleCorruptError, match="held 52"),
            ):
                updates.delete(["1"])
        path.write_bytes(whole)
    verified(root)


def test_current_is_put_right_by_naming_a_generation(root, mrl):
    build_again(root, 20)
    for content in (None, "000007\n", "what?\n"):
        current = root / "CURRENT"
        current.unlink() if content is None else current.write_text(content)
        status, _, err = mrl("index", "verify", root)
        assert status == 1
        assert "mrl index rollback" in err
        if content != "000007\n":
            assert "complete are 000001, 000002" in err
        assert mrl("index", "rollback", root, "--to", "2")[0] == 0
        assert Generations(root).published() == "000002"
        verified(root)


class TestService:
    """What is served is compared with its checksums first."""

    def test_a_damaged_generation_is_not_served(self, root):
        """And ``mrl serve`` ends with the reason: see test_cli.py."""
        damage(root / "generations" / "000001" / "vectors.npy")
        with (
            pytest.raises(BundleCorruptError, match=r"000001: vectors.npy differ from the manifest: restore them"),
            running(Settings(index=root, auth="off", port=0, log_level="critical")),
        ):
            pass

    @pytest.mark.parametrize("name", FILES)
    def test_a_damaged_new_generation_is_not_taken_up_until_it_is_mended(self, root, name):
        async def scenario(client, engine):
            new = build_again(root, 30)
            path = Generations(root).path(new) / name
            damage(path)
            refused = await client.post("/v1/index/reload")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "index_failed")
            assert name in refused.json()["error"]["message"]
            assert (await client.post("/v1/search", json={"query": "w1"})).json()["generation"] == "000001"
            assert 'mrl_reloads_total{outcome="failed"} ' in (await client.get("/metrics")).text
            damage(path)  # once more, which mends it

            async def served():
                return (await client.post("/v1/search", json={"query": "w1"})).json()["generation"] == new

            await until(served)

        serve(root, scenario, follow_seconds=0.05)

    def test_it_can_be_served_without_looking(self, root):
        async def scenario(client, engine):
            assert (await client.get("/readyz")).status_code == 200

        damage(root / "generations" / "000001" / "vectors.npy")
        serve(root, scenario, verify_on_open="loaded")
        damage(root / "generations" / "000001" / "prefix_norms.f32")
        serve(root, scenario, verify_on_open="sizes")

    def test_a_damaged_journal_is_told_and_what_is_served_goes_on(self, root, caplog):
        async def scenario(client, engine):
            assert (await client.put("/v1/documents/kept", json={"text": "w1"})).status_code == 201
            # As another process would leave it: changed behind the checksums.
            with closing(sqlite3.connect(root / "journal" / "journal.sqlite", isolation_level=None)) as connection:
                connection.execute("INSERT INTO operations (id, checksum) VALUES ('1', 5)")
            (root / "journal" / "latest").write_bytes((2).to_bytes(8, "little"))
            refused = await client.post("/v1/search", json={"query": "w1"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "index_failed")
            assert "operation 2 is missing or does not match its checksum" in refused.json()["error"]["message"]

        serve(root, scenario)
        with pytest.raises(BundleCorruptError, match=r"journal.sqlite is damaged: operation 2 .* Restore the index"):
            Index.open(root, encoder=ENCODER)
        shutil.move(root / "journal", root.parent / "journal-aside")
        serve(root, self._answers)

    async def _answers(self, client, engine):
        assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200
        assert (await client.put("/v1/documents/x", json={"text": "w1"})).status_code == 201


@pytest.mark.parametrize("name", ["vectors.npy", "documents.sqlite"])
def test_damage_gets_no_new_checksum_by_a_compaction(full, tmp_path, name):
    root = shutil.copytree(full, tmp_path / "index")
    path = root / "generations" / "000001" / name
    damage(path)
    with pytest.raises(BundleCorruptError, match=rf"000001: {name} differ from the manifest"):
        compact_index(root)
    damage(path)
    assert compact_index(root).rows == 248


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (1, "has format version 1, this program reads 2 and 3: build the index again with this version"),
        (4, "has format version 4, this program reads 2 and 3: upgrade this program, or use the version that wrote it"),
    ],
)
def test_an_older_or_newer_format_says_what_to_do(root, mrl, version, message):
    path = root / "generations" / "000001" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": version}))
    for command in (["search", root, "w1"], ["index", "inspect", root], ["index", "compact", root]):
        status, _, err = mrl(*command)
        assert status == 1
        assert message in err
        assert "Traceback" not in err


def test_a_newer_journal_says_what_to_do(full, tmp_path):
    root = shutil.copytree(full, tmp_path / "index")
    with closing(sqlite3.connect(root / "journal" / "journal.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(BundleFormatError, match="has format version 9, this program reads 1"):
        Index.open(root, encoder=ENCODER)


def test_manifests_and_journals_without_checksums_are_read_on(full, tmp_path):
    """As earlier versions wrote them."""
    root = shutil.copytree(full, tmp_path / "index")
    path = root / "generations" / "000001" / "manifest.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content, indent=2) + "\n")
    with closing(sqlite3.connect(root / "journal" / "journal.sqlite", isolation_level=None)) as connection:
        for table in ("operations", "starts"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
    with Index.open(root, encoder=ENCODER, verify="all") as index:
        assert len(index) == 248
        index.upsert([Document("more", "w1", {})])
        assert len(index) == 249
    verified(root)
    with closing(sqlite3.connect(root / "journal" / "journal.sqlite")) as connection:
        checksums = [row[0] for row in connection.execute("SELECT checksum FROM operations ORDER BY sequence")]
    assert checksums[:-1] == [None] * 52
    assert checksums[-1] is not None


def test_operations_that_are_lost_or_moved_are_noticed(full, tmp_path):
    changes = {
        "DELETE FROM operations WHERE sequence = 7": "operation 7 is missing",
        "DELETE FROM operations WHERE sequence > 50": "operation 51 is missing",
        "UPDATE operations SET payload = '{}' WHERE sequence = 9": "operation 9 is .* not match its checksum",
        "UPDATE starts SET sequence = 3": "the start of generation 000001 does not match its checksum",
    }
    for number, (change, message) in enumerate(changes.items()):
        root = shutil.copytree(full, tmp_path / str(number))
        with closing(Journal(root)) as journal:
            journal.start("000001", 0)
        with closing(sqlite3.connect(root / "journal" / "journal.sqlite", isolation_level=None)) as connection:
            connection.execute(change)
        with pytest.raises(BundleCorruptError, match=message):
            Index.open(root, encoder=ENCODER)


def test_another_model_in_the_same_place_is_refused_until_the_right_one_is_back(root, tmp_path, mrl):
    manifest = Manifest.read(root / "generations" / "000001")
    place = shutil.copytree(manifest.model.name, tmp_path / "model")
    assert mrl("search", root, "w1", "--model", place)[0] == 0
    other = tmp_path / "other"
    as_trainable(make_encoder(seed=1), "cpu").save(str(other), create_model_card=False)
    right = place.rename(tmp_path / "right")
    other.rename(place)
    message = r".* was built with model .*, the query encoder is .*: give the model it was built with by --model"
    status, _, err = mrl("search", root, "w1", "--model", place)
    assert status == 1
    assert re.match(f"error: {message}", err)
    settings = Settings(index=root, model=str(place), auth="off", port=0, log_level="critical")
    with pytest.raises(ModelMismatchError, match=message), running(settings):
        pass
    with pytest.raises(ModelMismatchError):
        Updates.open(root, encoder=load_encoder(str(place)))
    shutil.rmtree(place)
    right.rename(place)
    assert mrl("search", root, "w1", "--model", place)[0] == 0
    assert Path(manifest.model.name).exists()
