import base64
import json
import struct
import zlib

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Index, SearchOptions, build_index
from models import load_encoder
from models.errors import InvalidOptionError
from service import Settings
from service.http.server import running
from service.schemas.include import Included
from tests.conftest import make_texts, write_lines
from tests.models.image_models import make_clip, write_digits
from tests.service.test_http import error_of


def search(client, **body):
    return client.post("/v1/search", json=body).raise_for_status().json()


def refused(client, **body):
    response = client.post("/v1/search", json=body)
    assert response.status_code == 422
    return error_of(response)


@pytest.fixture(scope="module")
def repeated(tmp_path_factory, model_directory):
    """Texts that come up to five times, some again as updates, and one as seven of the best."""
    root = tmp_path_factory.mktemp("repeated")
    texts = make_texts(120, seed=5)
    rng = np.random.default_rng(7)
    rows = [{"_id": f"{n}", "text": texts[i]} for n, i in enumerate(rng.integers(0, 120, 600))]
    encoder = load_encoder(str(model_directory))
    corpus = write_lines(root / "corpus.jsonl", rows)
    build_index(Corpus([corpus]), encoder, root / "index", BuildOptions(dims=16))
    with running(Settings(index=root / "index", port=0, auth="off", log_level="warning", watch_share=0)) as url:
        lines = "".join(json.dumps({"_id": f"new {n}", "text": texts[n % 40]}) + "\n" for n in range(80))
        with httpx.Client(base_url=url, trust_env=False) as client:
            client.post("/v1/documents", content=lines).raise_for_status()
            client.delete("/v1/documents/17").raise_for_status()
            yield client, texts


class TestPaging:
    @pytest.mark.parametrize("options", [{}, {"dims": 8, "candidates": 300}, {"dims": 32}])
    def test_pages_are_the_whole_list_and_ties_stay_in_place(self, repeated, options):
        client, texts = repeated
        for text in texts[:6]:
            whole = search(client, query=text, k=90, **options)["results"]
            scores = [hit["score"] for hit in whole]
            assert len(set(scores)) < 80, "there are ties"
            assert len({hit["id"] for hit in whole}) == 90
            assert scores == sorted(scores, reverse=True)
            paged = [
                hit
                for offset in range(0, 90, 9)
                for hit in search(client, query=text, k=9, offset=offset, **options)["results"]
            ]
            assert [hit["id"] for hit in paged] == [hit["id"] for hit in whole]
            assert search(client, query=text, k=90, **options)["results"] == whole

    def test_several_queries_are_paged_like_each_alone(self, repeated):
        client, texts = repeated
        for offset in (0, 7, 33):
            body = {"k": 11, "offset": offset}
            alone = [search(client, query=text, **body)["results"] for text in texts[:9]]
            together = search(client, queries=texts[:9], **body)["results"]
            assert [[hit["id"] for hit in hits] for hits in together] == [[hit["id"] for hit in hits] for hits in alone]

    def test_equal_documents_come_in_the_order_they_were_added(self, repeated):
        client, texts = repeated
        hits = search(client, query=texts[3], k=60)["results"]
        best = [hit["id"] for hit in hits if hit["score"] == hits[0]["score"]]
        assert len(best) > 3
        assert [one for one in best if not one.startswith("new")] == sorted(
            (one for one in best if not one.startswith("new")), key=int
        )
        assert [one for one in best if one.startswith("new")] == sorted(
            (one for one in best if one.startswith("new")), key=lambda one: int(one[4:])
        )

    @given(st.integers(1, 40), st.integers(0, 40), st.sampled_from([{}, {"n": {"$lt": 60}}]))
    def test_an_offset_passes_over_results(self, url, k, offset, condition):
        body = {"query": "w1 w2 w3", "candidates": 100, "filter": condition}
        with httpx.Client(base_url=url, trust_env=False) as client:
            whole = search(client, **body, k=k + offset)["results"]
            assert search(client, **body, k=k, offset=offset)["results"] == whole[offset:]

    def test_beyond_the_end_there_is_nothing(self, client):
        assert search(client, query="w1", filter={"n": {"$lt": 5}}, k=10, offset=5)["results"] == []
        assert search(client, queries=["w1", "w2"], filter={"n": {"$lt": 5}}, k=10, offset=3)["results"] != [[], []]

    def test_limits(self, client):
        error = refused(client, query="w1", k=10, offset=991)
        assert (error["param"], error["message"]) == ("offset", "k + offset 1001: this service allows at most 1000")
        assert refused(client, query="w1", offset=-1)["param"] == "offset"
        assert len(search(client, query="w1", k=10, offset=990)["results"]) == 10


class TestInclude:
    def test_only_the_fields_asked_for_are_answered(self, client):
        for include, names in ((["title", "n"], {"title", "n"}), ([], set()), (["nope", "n.deeper"], set())):
            for hit in search(client, query="w1", include=include)["results"]:
                assert hit["payload"].keys() == names
        assert search(client, query="w1")["results"][0]["payload"].keys() == {"title", "text", "n"}
        lists = search(client, queries=["w1", "w2"], include=["n"])["results"]
        assert all(hit["payload"].keys() == {"n"} for hits in lists for hit in hits)

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["a"], {"a": {"b": {"c": 1, "d": 2}, "e": None}}),
            (["a.b.c"], {"a": {"b": {"c": 1}}}),
            (["a.b.c", "a.e"], {"a": {"b": {"c": 1}, "e": None}}),
            (["a.b", "a.b.c"], {"a": {"b": {"c": 1, "d": 2}}}),
            (["a.b.c", "a.b"], {"a": {"b": {"c": 1, "d": 2}}}),
            (["a.x", "a.b.x", "list.0"], {}),
            (["a\\.b"], {"a.b": 3}),
            (["list", "_id"], {"list": [{"c": 1}]}),
            (["\\_id"], {"_id": 4}),
            ([], {}),
        ],
    )
    def test_names_lead_into_objects_as_in_filters(self, names, expected):
        payload = {"a": {"b": {"c": 1, "d": 2}, "e": None}, "a.b": 3, "list": [{"c": 1}], "_id": 4}
        assert Included.parse(names).of(payload) == expected

    def test_names_that_are_none(self, client):
        assert refused(client, query="w1", include=["a\\"])["param"] == "include"
        assert refused(client, query="w1", include="title")["param"] == "include"
        assert refused(client, query="w1", include=["n"] * 257)["param"] == "include"
        with pytest.raises(InvalidOptionError, match="backslash"):
            Included.parse(["a\\"])


class TestVectorsAsBase64:
    def test_they_are_found_as_the_numbers_are(self, client, built):
        with Index.open(built) as index:
            vectors = index.encoder.encode_queries(["w1 w2", "w3 w4 w5"])
        texts = [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
        numbers = search(client, vectors=vectors.tolist())["results"]
        assert search(client, vectors=texts)["results"] == numbers
        assert search(client, vectors=[texts[0], vectors[1].tolist()])["results"] == numbers
        assert search(client, vector=texts[0])["results"] == numbers[0]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("", "0 bytes"),
            ("AAA", "not base64"),
            ("AAAAAAA=", "5 bytes in base64: 4 are needed"),
            ("é", "not base64"),
            ("AAAAAA==", "a vector of 1 numbers: the index has 32 dimensions"),
            (base64.b64encode(np.full(32, np.nan, "<f4")).decode(), "NaN or infinity"),
        ],
    )
    def test_what_is_none_is_refused(self, client, value, message):
        error = refused(client, vector=value)
        assert (error["param"], message in error["message"]) == ("vector", True)
        assert refused(client, vectors=[value])["param"].startswith("vector")


def test_the_generation_searched_is_told(client):
    assert search(client, query="w1")["generation"] == client.get("/v1/index").json()["generation"] == "000001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"), 30)


@pytest.fixture(scope="module")
def image_index(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    encoder = load_encoder(str(make_clip(root / "clip")), device="cpu")
    build_index(Corpus([folder]), encoder, root / "index", BuildOptions())
    return root / "index"


@pytest.fixture(scope="module")
def images(image_index):
    limits = {"max_images": 3, "max_image_pixels": 200}
    settings = Settings(
        index=image_index, port=0, auth="off", device="cpu", log_level="warning", watch_share=0, **limits
    )
    with running(settings) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


class TestImages:
    def test_an_image_finds_itself(self, images, folder, image_index):
        files = sorted(folder.rglob("*.png"))[:3]
        texts = [base64.b64encode(file.read_bytes()).decode() for file in files]
        expected = [file.relative_to(folder).as_posix() for file in files]
        assert [hits[0]["id"] for hits in search(images, images=texts, k=2)["results"]] == expected
        hit = search(images, image=texts[1], k=1, include=["width"])["results"][0]
        assert (hit["id"], hit["payload"]) == (expected[1], {"width": 8})
        with Index.open(image_index, device="cpu") as opened:
            direct = opened.search_images([files[1]], SearchOptions(k=1)).hits[0][0]
        assert hit["score"] == pytest.approx(direct.score, abs=1e-6)

    def test_what_cannot_be_read_is_refused_by_name(self, images, folder):
        good = base64.b64encode(next(folder.rglob("*.png")).read_bytes()).decode()
        cut = base64.b64encode(base64.b64decode(good)[:60]).decode()
        bomb = base64.b64encode(png(20_000, 20_000)).decode()
        for body, param, message in (
            ({"image": "%%%"}, "image", "not base64"),
            ({"image": ""}, "image", "no image of a known kind: PNG"),
            ({"image": base64.b64encode(b"<svg/>").decode()}, "image", "no image of a known kind"),
            ({"images": [good, "AAAA"]}, "images.1", "no image of a known kind"),
            ({"image": cut}, "image", "image"),
            ({"image": bomb}, "image", "more than 64,000,000 pixels"),
            ({"image": base64.b64encode(png(15, 14)).decode()}, "image", "210 pixels in the images up to image"),
            ({"images": [good] * 4}, "images", "4 images: this service allows 1 to 3"),
            ({"images": []}, "images", "0 images"),
            ({"image": good, "query": "five"}, None, "given: query, image"),
        ):
            error = refused(images, **body)
            assert error["param"] == param, body
            assert message in error["message"]

    def test_a_model_of_texts_says_so(self, client, folder):
        image = base64.b64encode(next(folder.rglob("*.png")).read_bytes()).decode()
        assert "encodes no images: search by text" in refused(client, image=image)["message"]


def png(width, height):
    """A PNG of black pixels: a few kilobytes that would be a gigabyte in memory."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + rows.flush()

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
