"""Images are indexed and searched by the command and over HTTP."""

import base64
import struct
import zlib

import httpx
import pytest

from indexer import BuildOptions, Corpus, Index, SearchOptions, build_index
from models import load_encoder
from service import Settings
from service.http.server import running
from tests.models.image_models import make_clip, write_digits
from tests.service.applications import refused, search


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


def test_an_image_finds_itself(images, folder, image_index):
    files = sorted(folder.rglob("*.png"))[:3]
    texts = [base64.b64encode(file.read_bytes()).decode() for file in files]
    expected = [file.relative_to(folder).as_posix() for file in files]
    assert [hits[0]["id"] for hits in search(images, images=texts, k=2)["results"]] == expected
    hit = search(images, image=texts[1], k=1, include=["width"])["results"][0]
    assert (hit["id"], hit["payload"]) == (expected[1], {"width": 8})
    with Index.open(image_index, device="cpu") as opened:
        direct = opened.search_images([files[1]], SearchOptions(k=1)).hits[0][0]
    assert hit["score"] == pytest.approx(direct.score, abs=1e-6)


def test_what_cannot_be_read_is_refused_by_name(images, folder):
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


def test_a_model_of_texts_says_so(client, folder):
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
