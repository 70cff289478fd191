import asyncio
import base64
import json
import shutil
import threading
from itertools import pairwise
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Document, Index, SearchOptions, build_index, parse_filter
from indexer.building.append import append_corpus
from indexer.building.compact import compact_index
from indexer.updates import Updates
from service import Settings, create_app
from service.http.server import running
from service.routes.documents import BATCH_LINES, MAX_LINES
from tests.conftest import make_encoder, make_texts, write_lines
from tests.service.applications import error_of, serve


@pytest.fixture(scope="module")
def scratch(built, tmp_path_factory):
    """A service for tests that add documents of their own and delete them again."""
    root = tmp_path_factory.mktemp("scratch") / "index"
    shutil.copytree(built, root)
    settings = Settings(index=root, port=0, auth="off", log_level="warning", watch_share=0)
    with running(settings) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def found(client, text, **body):
    answer = client.post("/v1/search", json={"query": text, **body}).raise_for_status().json()
    return [hit["id"] for hit in answer["results"]]


def lines(*rows):
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def post(client, *rows):
    return client.post("/v1/documents", content=lines(*rows)).raise_for_status().json()


class TestOne:
    def test_what_is_written_is_read_and_found_at_once(self, own_client):
        row = {"title": "A title", "text": "w201 w202", "year": 1990, "meta": {"tags": ["a", None]}}
        response = own_client.put("/v1/documents/one", json=row)
        assert (response.status_code, response.json()) == (201, {"id": "one", "result": "added"})
        assert own_client.get("/v1/documents/one").json() == {"id": "one", "payload": row}
        assert found(own_client, "A title w201 w202")[0] == "one"
        assert found(own_client, "w1", filter={"meta.tags": "a"}) == ["one"]
        response = own_client.put("/v1/documents/one", json={"text": "w203 w204 w205"})
        assert (response.status_code, response.json()) == (200, {"id": "one", "result": "replaced"})
        assert own_client.get("/v1/documents/one").json()["payload"] == {"text": "w203 w204 w205"}
        assert found(own_client, "w203 w204 w205")[0] == "one"
        assert found(own_client, "w1", filter={"meta.tags": "a"}) == []
        response = own_client.delete("/v1/documents/one")
        assert (response.status_code, response.json()) == (200, {"id": "one", "result": "deleted"})
        assert "one" not in found(own_client, "w203 w204 w205", k=50)
        for method in ("GET", "DELETE"):
            response = own_client.request(method, "/v1/documents/one")
            assert (response.status_code, error_of(response)["code"]) == (404, "not_found")
            assert "'one'" in error_of(response)["message"]

    def test_documents_of_the_build_are_read_replaced_and_deleted(self, own_client, texts):
        payload = {"title": "title 5", "text": texts[5], "n": 5}
        assert own_client.get("/v1/documents/5").json() == {"id": "5", "payload": payload}
        assert own_client.put("/v1/documents/5", json={"text": "w5"}).status_code == 200
        assert own_client.get("/v1/documents/5").json()["payload"] == {"text": "w5"}
        assert own_client.delete("/v1/documents/5").status_code == 200
        assert own_client.delete("/v1/documents/5").status_code == 404
        assert own_client.put("/v1/documents/5", json=payload).status_code == 201

    @given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
    def test_ids_may_hold_anything(self, own_client, identifier):
        address = "/v1/documents/" + "".join(f"%{byte:02X}" for byte in identifier.encode())
        row = {"text": "w7 w8", "own": identifier}
        assert own_client.put(address, json=row).json()["id"] == identifier
        assert own_client.get(address).json() == {"id": identifier, "payload": row}
        assert own_client.delete(address).status_code == 200
        assert own_client.get(address).status_code == 404

    @pytest.mark.parametrize("identifier", ["a/b/c", "delete", "a//b", "ü", "/a", "a/", "x%2Fy", "?", "...", "a\nb\n"])
    def test_addresses_as_people_write_them(self, scratch, identifier):
        address = f"/v1/documents/{quote(identifier)}"
        assert scratch.put(address, json={"text": "w1"}).json() == {"id": identifier, "result": "added"}
        assert scratch.delete(address).json()["id"] == identifier

    @pytest.mark.parametrize(
        ("address", "body", "status", "param", "message"),
        [
            ("x", b"{}", 422, "document", "missing text"),
            ("x", b'{"title": 3, "text": "a"}', 422, "document", "'title' is not text"),
            ("x", b'{"_id": "y", "text": "a"}', 422, "_id", "the row has _id 'y', the address 'x'"),
            ("x", b'{"text": "a", "_id": 3}', 422, "_id", "the row has _id 3"),
            ("x", b'{"text": "a", "n": NaN}', 422, "document", "'n' is nan"),
            ("x", b'{"text": "\\ud800"}', 422, "document", "not valid Unicode"),
            ("x", b'{"\\ud800": 1, "text": "a"}', 422, "document", "not valid Unicode"),
            ("x", b'{"text": "a", "n": ' + b"[" * 200 + b"]" * 200 + b"}", 422, "document", "nested more than 100"),
            ("x", b"[1]", 422, None, "valid dictionary"),
            ("x", b"{", 400, None, "not JSON"),
            ("x", b"", 422, None, "required"),
            ("x", b'{"_vector": [1, 2]}', 422, "document", "2 numbers: the index has 32 dimensions"),
            ("x", b'{"_vector": [1, "a"]}', 422, "document", "'a', which is not a number"),
            ("x", b'{"_vector": "AAA"}', 422, "document", "_vector is not base64"),
            ("x", b'{"_vector": [' + b"1e99," * 31 + b"0]}", 422, "document", "NaN or infinity"),
            ("x", b'{"_vector": [' + b"9" * 400 + b",0" * 31 + b"]}", 422, "document", "NaN or infinity"),
            ("x", b'{"_vector": {}}', 422, "document", "give numbers, or base64"),
            ("%FF", b'{"text": "a"}', 422, "id", "not UTF-8"),
            ("", b'{"text": "a"}', 422, "id", "the id is empty"),
        ],
    )
    def test_what_cannot_be_stored_is_refused_by_name(self, client, address, body, status, param, message):
        before = client.get("/v1/index").json()["documents"]
        response = client.put(f"/v1/documents/{address}", content=body, headers={"content-type": "application/json"})
        assert response.status_code == status
        assert (error_of(response)["param"], message in error_of(response)["message"]) == (param, True)
        assert client.get("/v1/index").json()["documents"] == before

    def test_its_own_vector_is_stored_in_place_of_an_encoding(self, own_client):
        vector = np.random.default_rng(3).normal(size=32).astype("<f4")
        for own in ((7 * vector).tolist(), base64.b64encode(vector.tobytes()).decode()):
            own_client.put("/v1/documents/own", json={"_vector": own, "note": "no text"}).raise_for_status()
            answer = own_client.post("/v1/search", json={"vector": vector.tolist(), "k": 1}).json()["results"][0]
            assert (answer["id"], answer["payload"]) == ("own", {"note": "no text"})
            assert answer["score"] == pytest.approx(1, abs=1e-3)
        own_client.delete("/v1/documents/own")


class TestLines:
    def test_every_line_is_reported_and_the_good_ones_are_stored(self, own_client):
        answer = post(
            own_client,
            "\ufeff" + lines({"_id": "l1", "text": "w1 w2"}),
            "\n",
            {"_id": "7", "text": "w7"},
            "{broken\n",
            {"text": "no id"},
            {"_id": "l2"},
            {"id": 5, "text": "w5"},
            {"_id": "l3", "text": "w3", "n": 3, "_vector": [1.0] * 31},
            "[1]\r\n",
            {"_id": True, "text": "w3"},
            '{"_id": "\\ud800", "text": "w3"}\n',
            json.dumps({"_id": "l4", "title": "w4"}),
        )
        assert (answer["added"], answer["replaced"], answer["rejected"]) == (2, 2, 7)
        reports = [(line["line"], line["id"], line["result"]) for line in answer["lines"]]
        assert reports == [
            (1, "l1", "added"),
            (3, "7", "replaced"),
            (4, None, "rejected"),
            (5, None, "rejected"),
            (6, "l2", "rejected"),
            (7, "5", "replaced"),
            (8, "l3", "rejected"),
            (9, None, "rejected"),
            (10, None, "rejected"),
            (11, "\\ud800", "rejected"),
            (12, "l4", "added"),
        ]
        reasons = {line["line"]: line["reason"] for line in answer["lines"]}
        assert reasons[1] is None
        for number, reason in (
            (4, "bad JSON"),
            (5, "no field '_id' or 'id'"),
            (6, "missing text"),
            (8, "its vector has 31 numbers: the index has 32 dimensions"),
            (9, "expected a JSON object, got list"),
            (10, "not a text or an integer"),
            (11, "not valid Unicode"),
        ):
            assert reason in reasons[number]
        assert found(own_client, "w1 w2")[0] == "l1"
        assert own_client.get("/v1/documents/l3").status_code == 404

    def test_of_equal_ids_the_last_good_one_stays_within_a_batch_and_over_batches(self, own_client):
        for filler in (1, BATCH_LINES + 10):
            rows = [{"_id": f"f{i}", "text": "w9"} for i in range(filler)]
            twice = {"_id": "twice", "text": "w11 w12"}
            answer = post(own_client, twice, *rows, {**twice, "text": "w13 w14"}, {"_id": "twice", "text": " "})
            results = [line["result"] for line in answer["lines"] if line["id"] == "twice"]
            assert results == ["added", "replaced", "rejected"]
            assert own_client.get("/v1/documents/twice").json()["payload"]["text"] == "w13 w14"
            assert found(own_client, "w13 w14")[0] == "twice"
            own_client.post("/v1/documents/delete", json={"ids": ["twice"]}).raise_for_status()

    @given(data=st.data())
    def test_pieces_may_break_anywhere(self, own_client, data):
        rows = [{"_id": f"p{i}", "text": f"w{i} ü"} for i in range(5)]
        body = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
        edges = [0, *cuts, len(body)]
        pieces = [body[a:b] for a, b in pairwise(edges)]
        answer = own_client.post("/v1/documents", content=iter(pieces)).raise_for_status().json()
        assert [(line["line"], line["id"]) for line in answer["lines"]] == [(2 * i + 1, f"p{i}") for i in range(5)]

    def test_nothing_is_an_answer_too(self, own_client):
        for content in (b"", b"\n \n"):
            answer = own_client.post("/v1/documents", content=content).json()
            assert answer == {"added": 0, "replaced": 0, "rejected": 0, "lines": []}

    def test_a_line_means_what_it_means_to_append(self, built, own_client, tmp_path):
        texts = make_texts(300, seed=9)
        rows = [{"_id": f"a{i}", "title": f"w{i}", "text": text, "n": [i]} for i, text in enumerate(texts)]
        rows += [{"_id": "broken"}, {"_id": "v", "_vector": np.arange(32.0).tolist()}]
        shutil.copytree(built, tmp_path / "other")
        corpus = write_lines(tmp_path / "more.jsonl", rows)
        with Updates.open(tmp_path / "other") as updates:
            appended = append_corpus(Corpus([corpus]), updates)
        answer = own_client.post("/v1/documents", content=corpus.read_bytes()).raise_for_status().json()
        assert (answer["added"], answer["replaced"], answer["rejected"]) == tuple(
            getattr(appended, name) for name in ("added", "replaced", "rejected")
        )
        with Index.open(tmp_path / "other") as other:
            wanted = {"filter": {"_id": {"$in": [row["_id"] for row in rows]}}, "k": 20}

            options = SearchOptions(k=20, filter=parse_filter(wanted["filter"]))
            for text in texts[:5]:
                hits = own_client.post("/v1/search", json={"query": text, **wanted}).json()["results"]
                theirs = other.search([text], options).hits[0]
                assert [(hit["id"], hit["payload"]) for hit in hits] == [(hit.id, hit.payload) for hit in theirs]
                assert [hit["score"] for hit in hits] == [pytest.approx(hit.score, abs=1e-6) for hit in theirs]

    def test_too_much_is_refused_and_says_what_is_stored(self, own_client):
        row = lines({"_id": "big", "text": "w1"}).encode()
        response = own_client.post("/v1/documents", content=row + b" " * (1 << 20))
        assert (response.status_code, error_of(response)["code"]) == (413, "body_too_large")
        assert own_client.get("/v1/documents/big").status_code == 404
        response = own_client.post("/v1/documents", content=b"{}\n" * BATCH_LINES + b"\n" * MAX_LINES)
        assert response.status_code == 422
        assert f"more than {MAX_LINES:,} lines" in error_of(response)["message"]
        assert f"lines 1 to {BATCH_LINES} have been stored" in error_of(response)["message"]


def test_several_are_deleted_at_once(own_client):
    post(own_client, *({"_id": f"d{i}", "text": "w1"} for i in range(4)))
    content = json.dumps({"ids": ["d0", "d1", "d1", "nosuch", "\ud800"]})
    answer = own_client.post("/v1/documents/delete", content=content, headers={"content-type": "application/json"})
    assert answer.json() == {"deleted": 2, "missing": 2}
    assert own_client.get("/v1/documents/d0").status_code == 404
    assert own_client.get("/v1/documents/d2").status_code == 200
    for body in ({"ids": []}, {"ids": "d2"}, {"ids": [3]}, {}, {"ids": ["d2"], "force": True}):
        response = own_client.post("/v1/documents/delete", json=body)
        assert (response.status_code, error_of(response)["code"]) == (422, "invalid_option")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["_id", "id", "text", "title", "_vector", "n", "\ud800"]), json_values), st.binary()
)
def test_nothing_a_client_sends_gives_a_server_error(own_client, row, noise):
    text = json.dumps(row)
    headers = {"content-type": "application/json"}
    for response in (
        own_client.put("/v1/documents/any", content=text, headers=headers),
        own_client.post("/v1/documents", content=f"{text}\n".encode() + noise),
        own_client.post("/v1/documents/delete", content=text, headers=headers),
    ):
        assert response.status_code < 500
        if response.status_code >= 400:
            error_of(response)


def test_writes_of_many_clients_and_another_process_are_all_there(own_client, root):
    def write(name):
        for i in range(10):
            own_client.put(f"/v1/documents/{name}-{i}", json={"text": f"w{i}"}).raise_for_status()
            assert own_client.get(f"/v1/documents/{name}-{i}").status_code == 200

    threads = [threading.Thread(target=write, args=(f"client {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    with Updates.open(root) as other:
        other.upsert([Document("elsewhere", "w1 w2", {"n": 1})])
    assert own_client.get("/v1/documents/elsewhere").json() == {"id": "elsewhere", "payload": {"text": "w1 w2", "n": 1}}
    for thread in threads:
        thread.join()
    with Index.open(root) as index:
        assert len(index.get([f"client {n}-{i}" for n in range(3) for i in range(10)])) == 30


def test_documents_are_read_across_generations(built, tmp_path):
    """Index.get beside a naive map, through replacements, deletes and a compaction."""
    shutil.copytree(built, tmp_path / "index")
    rng = np.random.default_rng(0)
    with Index.open(tmp_path / "index") as index:
        state = {document.id: document.payload for document in index.view.fetch(range(1000))}
        for step in range(30):
            ids = [str(i) for i in rng.integers(0, 1040, 8)]
            if step % 3:
                unique = list(dict.fromkeys(ids))
                index.upsert([Document(identifier, "w1 w2", {"step": step}) for identifier in unique])
                state.update({identifier: {"text": "w1 w2", "step": step} for identifier in unique})
            else:
                index.delete(ids)
                for identifier in ids:
                    state.pop(identifier, None)
            if step == 17:
                compact_index(tmp_path / "index")
                index.reload()
            asked = [str(i) for i in rng.integers(0, 1040, 60)] + ids
            got = index.get(asked)
            assert {identifier: document.payload for identifier, document in got.items()} == {
                identifier: state[identifier] for identifier in asked if identifier in state
            }
        assert index.get([]) == {}
        assert index.get(["\ud800", "no"]) == {}


class TestStorage:
    """A disk that refuses to be written."""

    def test_a_full_disk_is_reported_and_nothing_acknowledged_is_lost(self, built, tmp_path):
        root = tmp_path / "index"
        shutil.copytree(built, root)

        async def scenario(client, engine):
            await engine.load()
            row = {"text": "w1 w2", "n": 1}
            assert (await client.put("/v1/documents/kept", json=row)).status_code == 201
            connection = engine.index._writer._journal._reading()
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")
            body = lines(*({"_id": f"n{i}", "text": "w1 " * 2000} for i in range(50)))
            for response in (
                await client.post("/v1/documents", content=body),
                await client.put("/v1/documents/kept", json={"text": "w1 " * 40_000}),
            ):
                assert response.status_code == 507
                assert error_of(response)["code"] == "storage_failed"
                assert "database or disk is full" in error_of(response)["message"]
            assert (await client.get("/v1/documents/kept")).json()["payload"] == row
            assert (await client.get("/v1/documents/n0")).status_code == 404
            assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200
            connection.execute(f"PRAGMA max_page_count={pages + 10_000}")
            assert (await client.post("/v1/documents", content=body)).json()["added"] == 50

        serve(root, scenario, load=False)
        with Index.open(root) as index:
            assert len(index.get(["kept", "n0", "n49"])) == 3

    def test_a_journal_that_cannot_be_created_is_reported(self, built, tmp_path):
        root = tmp_path / "index"
        shutil.copytree(built, root)
        shutil.rmtree(root / "journal", ignore_errors=True)
        (root / "journal" / "journal.sqlite.partial").mkdir(parents=True)

        async def scenario(client, engine):
            await engine.load()
            response = await client.put("/v1/documents/x", json={"text": "w1"})
            assert (response.status_code, error_of(response)["code"]) == (507, "storage_failed")
            assert "journal" in error_of(response)["message"]

        serve(root, scenario, load=False)

    def test_an_index_built_again_with_another_model_is_a_conflict(self, built, tmp_path):
        root = tmp_path / "index"
        shutil.copytree(built, root)

        async def scenario(client, engine):
            await engine.load()

            build_index(
                Corpus([write_lines(tmp_path / "c.jsonl", [{"_id": "1", "text": "w1"}])]),
                make_encoder(seed=1),
                root,
                BuildOptions(dims=16),
            )
            response = await client.put("/v1/documents/x", json={"text": "w1"})
            assert (response.status_code, error_of(response)["code"]) == (409, "model_mismatch")

        serve(root, scenario, load=False, follow_seconds=0)


def test_a_client_that_disconnects_is_not_a_failure(built, tmp_path, caplog):
    root = tmp_path / "index"
    shutil.copytree(built, root)

    async def run():
        app = create_app(Settings(index=root, auth="off", watch_share=0))
        await app.state.engine.load()
        row = lines({"_id": "x", "text": "w1"}).encode()
        messages = [{"type": "http.request", "body": row, "more_body": True}, {"type": "http.disconnect"}]
        sent = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        path = "/v1/documents"
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": []}
        await app({**scope, "query_string": b"", "root_path": "", "http_version": "1.1"}, receive, send)
        await app.state.engine.close()
        return sent

    sent = asyncio.run(run())
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
