"""A folder of images: from a corpus to an index, searched by text and by image, and updated."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from indexer import (
    BuildError,
    BuildOptions,
    Corpus,
    Document,
    Index,
    SearchOptions,
    append_corpus,
    build_index,
)
from indexer.corpus import Place
from indexer.progress import EncodingDocuments
from indexer.updates import Updates
from models import DataError, InvalidOptionError, ModelError, load_encoder
from models.data.images import read_image
from tests.conftest import make_encoder
from tests.models.image_models import DIGIT_WORDS, make_clip, make_vit, write_digits

COUNT = 60


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(str(make_clip(tmp_path_factory.mktemp("models") / "clip")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Real digits, a text file that is no image, and two images that are none."""
    folder = write_digits(tmp_path_factory.mktemp("digits"), COUNT)
    (folder / "0" / "broken.png").write_bytes(b"not an image")
    whole = (folder / "0" / "0000.png").read_bytes()
    (folder / "1" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "README.md").write_text("Digits of many hands.")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory, folder, encoder):
    """The folder's index, and what the build said."""
    root = tmp_path_factory.mktemp("index")
    result = build_index(Corpus([folder], prefer_images=True), encoder, root, BuildOptions(batch_size=25))
    return result, root


@pytest.fixture(scope="module")
def index(built, encoder):
    with Index.open(built[1], encoder=encoder) as opened:
        yield opened


def png(path):
    return sorted(item for item in path.rglob("*.png") if item.stem.isdigit())


def test_a_folder_of_images_in_order_with_place_and_size(folder):
    corpus = Corpus([folder], prefer_images=True)
    rows = list(corpus.rows())
    assert corpus.estimated_rows() == len(rows) == COUNT + 2
    good = [row.document for row in rows if row.document]
    assert [row.source for row in rows] == sorted(row.source for row in rows)
    first = png(folder)[0]
    name = first.relative_to(folder).as_posix()
    assert good[0] == Document(name, "", {"path": str(first.resolve()), "width": 8, "height": 8}, image=first)
    # One that is cut off is found out when it is read whole.
    assert [(row.source, row.problem.split(":")[0]) for row in rows if not row.document] == [
        (str(folder / "0" / "broken.png"), "no image of a known kind")
    ]
    for done in (0, 1, 7, len(rows)):
        place = rows[done - 1].place if done else Place()
        assert list(corpus.rows(place)) == rows[done:]


def test_what_a_folder_stands_for(folder, tmp_path):
    assert [row.document.id for row in Corpus([folder]).rows()] == ["README.md"], "texts come first where not preferred"
    Image.new("L", (3, 5)).save(tmp_path / "only.JPG", "JPEG")
    for corpus in (Corpus([tmp_path]), Corpus([tmp_path / "only.JPG"]), Corpus([tmp_path], prefer_images=True)):
        (row,) = corpus.rows()
        assert (row.document.id, row.document.payload["height"]) == ("only.JPG", 5)
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"_id": "a", "text": "t"}) + "\n")
    assert [row.document.id for row in Corpus([tmp_path], prefer_images=True).rows()] == ["a"], "a BEIR folder"


def test_a_file_name_that_is_not_unicode_is_rejected(tmp_path):
    Image.new("L", (3, 5)).save(tmp_path / "ok.png")
    try:
        (tmp_path / "bad\udcff.png").write_bytes((tmp_path / "ok.png").read_bytes())
    except OSError:
        pytest.skip("this file system has Unicode names alone")
    problems = [row.problem for row in Corpus([tmp_path]).rows()]
    assert [problem[:35] for problem in problems] == ["field 'path' is not valid Unicode: ", ""]


def test_a_build_lists_broken_images_and_goes_on(built, folder):
    result, _ = built
    assert (result.rows, result.rejected) == (COUNT, 2)
    listed = [json.loads(line) for line in result.report.read_text().splitlines()]
    assert {line["source"]: line["reason"].split(":")[0] for line in listed} == {
        str(folder / "0" / "broken.png"): "no image of a known kind",
        str(folder / "1" / "cut.png"): "image file is truncated",
    }
    assert {line["line"] for line in listed} == {1}


def test_a_text_finds_the_images_that_are_nearest_to_it(index, encoder, folder):
    paths = png(folder)
    vectors = encoder.encode_images([read_image(path) for path in paths])
    queries = [f"a photo of {word}" for word in DIGIT_WORDS]
    found = index.search(queries, SearchOptions(k=5, candidates=COUNT)).hits
    scores = encoder.encode_queries(queries) @ vectors.T
    for hits, expected in zip(found, scores, strict=True):
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1][:5], atol=2e-3)
        by_id = dict(zip((path.relative_to(folder).as_posix() for path in paths), expected, strict=True))
        np.testing.assert_allclose([by_id[hit.id] for hit in hits], [hit.score for hit in hits], atol=2e-3)


def test_an_image_is_found_by_its_path_and_its_bytes_alike(index, folder):
    paths = png(folder)[::7]
    by_path = index.search_images(paths, SearchOptions(k=3))
    by_bytes = index.search_images([path.read_bytes() for path in paths], SearchOptions(k=3))
    assert by_path.hits == by_bytes.hits
    assert [hits[0].payload["path"] for hits in by_path.hits] == [str(path.resolve()) for path in paths]
    assert all(hits[0].score > 0.999 for hits in by_path.hits)
    assert by_path.stages[0].name == "encode"


def test_images_that_cannot_be_searched_for_are_named(index, folder, tmp_path):
    (tmp_path / "x.png").write_bytes(b"?")
    with pytest.raises(InvalidOptionError, match=r"image .*x\.png: no image of a known kind") as caught:
        index.search_images([tmp_path / "x.png"])
    assert caught.value.param == "image"
    with pytest.raises(InvalidOptionError, match="image of 1 bytes: no image of a known kind"):
        index.search_images([b"?"])
    with pytest.raises(InvalidOptionError, match="k 0"):
        index.search_images([png(folder)[0]], SearchOptions(k=0))


def test_a_killed_build_goes_on_where_it_stopped(tmp_path, folder, encoder, built):
    class KilledError(Exception):
        pass

    def report(event):
        if isinstance(event, EncodingDocuments) and event.done - event.rejected >= 20:
            raise KilledError

    corpus, options = Corpus([folder], prefer_images=True), BuildOptions(batch_size=10)
    with pytest.raises(KilledError):
        build_index(corpus, encoder, tmp_path, options, report=report)
    result = build_index(corpus, encoder, tmp_path, options)
    assert (result.resumed_rows, result.rows, result.rejected) == (28, COUNT, 2)
    with Index.open(tmp_path, encoder=encoder) as again, Index.open(built[1], encoder=encoder) as whole:
        query = [png(folder)[3]]
        for theirs, ours in zip(whole.search_images(query).hits[0], again.search_images(query).hits[0], strict=True):
            assert theirs.id == ours.id


def test_images_may_be_added_later(tmp_path, folder, encoder):
    build_index(Corpus([png(folder)[0]]), encoder, tmp_path / "index")
    (tmp_path / "more").mkdir()
    extra = tmp_path / "more" / "wide.png"
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(6, 16)).save(extra)
    (tmp_path / "more" / "cut.png").write_bytes(extra.read_bytes()[:45])
    broken = []
    with Updates.open(tmp_path / "index", encoder=encoder) as updates:
        result = append_corpus(Corpus([tmp_path / "more"]), updates, on_rejected=broken.append)
    assert (result.added, result.rejected) == (1, 1)
    assert broken[0].source == str(tmp_path / "more" / "cut.png")
    with Index.open(tmp_path / "index", encoder=encoder) as index:
        assert index.search_images([extra]).hits[0][0].id == "wide.png"
        stream = io.BytesIO()
        Image.new("RGB", (20, 20), "red").save(stream, "PNG")
        index.upsert([Document("red", "", {}, image=stream.getvalue()), Document("words", "two", {"text": "two"})])
        assert index.search_images([stream.getvalue()]).hits[0][0].id == "red"
        assert index.search(["two"]).hits[0][0].id == "words"
        with pytest.raises(InvalidOptionError, match="document 0 with id 'x': no image of a known kind"):
            index.upsert([Document("x", "", {}, image=b"?")])
        with pytest.raises(InvalidOptionError, match="it has no text; give text or its vector"):
            index.upsert([Document("x", " ", {})])


def test_models_of_one_side_say_what_they_cannot_do(tmp_path, folder):
    with pytest.raises(ModelError, match="model 'tiny' encodes no images: give a CLIP-like model"):
        build_index(Corpus([png(folder)[0]]), make_encoder(), tmp_path / "text")
    vision = load_encoder(str(make_vit(tmp_path / "vit")))
    build_index(Corpus([folder], prefer_images=True), vision, tmp_path / "vision")
    with Index.open(tmp_path / "vision", encoder=vision) as index:
        assert index.search_images([png(folder)[5]]).hits[0][0].score > 0.999
        with pytest.raises(InvalidOptionError, match="encodes images only, not 'two': give an image"):
            index.search(["two"])
    with pytest.raises(InvalidOptionError, match="encodes images only"):
        build_index(Corpus([folder / "README.md"]), vision, tmp_path / "mixed")


def test_a_text_index_cannot_be_searched_by_image(index, tmp_path, folder):
    (tmp_path / "a.txt").write_text("w1 w2")
    build_index(Corpus([tmp_path / "a.txt"]), make_encoder(), tmp_path / "index")
    with (
        Index.open(tmp_path / "index", encoder=make_encoder()) as opened,
        pytest.raises(InvalidOptionError, match="the index's model 'tiny' encodes no images: search by text"),
    ):
        opened.search_images([png(folder)[0]])


def test_a_folder_of_broken_images_alone_is_an_error(tmp_path, encoder):
    (tmp_path / "a.png").write_bytes(b"?")
    with pytest.raises(BuildError, match=r"none of the 1 rows is a document; the first: .*a\.png"):
        build_index(Corpus([tmp_path]), encoder, tmp_path / "index")
    with pytest.raises(DataError, match=r"holds no file of a known kind: .*\.png"):
        Corpus([(tmp_path / "empty").mkdir() or tmp_path / "empty"])
