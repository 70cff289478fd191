"""Bundles of format 2, as version 0.1.0 wrote them, are read, changed and folded into format 3."""

import json
import tarfile
from pathlib import Path

import pytest

from indexer import (
    BuildError,
    BuildOptions,
    Corpus,
    Document,
    Generations,
    Index,
    LexicalOptions,
    build_index,
    calibrate_index,
    compact_index,
    snapshot_index,
)
from indexer.calibration import CalibrationOptions
from indexer.storage.journal import Journal
from indexer.storage.manifest import Manifest
from tests.conftest import make_encoder, write_lines
from tests.formats.make_format_2 import COUNT, KILLED_AT, PixelEncoder, corpus_rows, search_options

BUNDLES = Path(__file__).with_name("format_2")
NAMES = ("plain", "words", "filterable", "journal", "images", "killed")


def unpack(name: str, root: Path) -> Path:
    with tarfile.open(BUNDLES / f"{name}.tar.gz") as archive:
        archive.extractall(root, filter="data")
    return root


def encoder_of(name):
    return PixelEncoder() if name == "images" else make_encoder()


def format_of(folder: Path) -> int:
    return json.loads((folder / "manifest.json").read_text())["format_version"]


def published(root: Path) -> Manifest:
    generations = Generations(root)
    return Manifest.read(generations.path(generations.require_published()))


def check_searches(name: str, root: Path) -> None:
    """Every search recorded with version 0.1.0 finds the same documents with the same scores."""
    with Index.open(root, encoder=encoder_of(name), verify="all") as index:
        for case in json.loads((BUNDLES / f"{name}.json").read_text()):
            hits = index.search([case["query"]], search_options(case["options"])).hits[0]
            assert [(hit.id, hit.payload) for hit in hits] == [(id, payload) for id, _, payload in case["found"]]
            # The last bit of a sum depends on the processor.
            assert [hit.score for hit in hits] == pytest.approx([score for _, score, _ in case["found"]], abs=2e-6)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def root(name, tmp_path):
    return unpack(name, tmp_path / "index")


def test_a_bundle_is_format_2_and_reads_with_the_stated_defaults(root):
    generations = Generations(root)
    for generation in generations.complete():
        assert format_of(generations.path(generation)) == 2
        manifest = Manifest.read(generations.path(generation))
        assert manifest.format_version == 2
        assert manifest.documents == manifest.rows
        assert (manifest.index_id, manifest.options, manifest.passages, manifest.query_encoder) == (None,) * 4
        assert manifest.default_search == "vectors"


def test_searches_and_checksums_are_as_they_were(name, root):
    folder = Generations(root).path(Generations(root).require_published())
    Manifest.read(folder).check(folder)
    Journal(root).verify()
    check_searches(name, root)
    assert format_of(folder) == 2  # reading writes nothing


def test_updates_and_a_compaction_give_format_3_and_the_earlier_generation_stays(name, root):
    with Index.open(root, encoder=encoder_of(name)) as index:
        before = len(index)
        index.upsert([Document("later", "w250 w251 w252", {"year": 1990})])
        assert index.delete(["20"]) == (name != "images")
        assert index.search(["w250 w251 w252"]).hits[0][0].payload == {"text": "w250 w251 w252", "year": 1990}
    old = published(root)
    result = compact_index(root, encoder=encoder_of(name), keep=9)
    new = published(root)
    assert format_of(result.path) == 3
    assert new.index_id is not None
    assert new.options is None  # what was given is not known, and not guessed
    assert (new.documents, new.rows) == (result.rows, result.rows) == (before + (name == "images"),) * 2
    assert (new.model, new.corpus, new.vectors, new.shortlist) == (old.model, old.corpus, old.vectors, old.shortlist)
    assert (new.lexical and new.lexical.fields) == (old.lexical and old.lexical.fields)
    with Index.open(root, encoder=encoder_of(name), verify="all") as index:
        assert index.search(["w250 w251 w252"]).hits[0][0].id == "later"
        assert "20" not in index.get(["20"])
    Generations(root).rollback()
    assert published(root).format_version == 2
    with Index.open(root, encoder=encoder_of(name), verify="all") as index:  # with the updates since
        assert index.search(["w250 w251 w252"]).hits[0][0].id == "later"
        assert "20" not in index.get(["20"])


def test_a_compaction_without_updates_changes_nothing(tmp_path):
    root = unpack("plain", tmp_path / "index")
    compact_index(root, encoder=make_encoder())
    assert published(root).format_version == 2


def test_a_calibration_writes_format_3_for_the_same_files_and_the_same_answers(tmp_path):
    root = unpack("plain", tmp_path / "index")
    files = published(root).files
    calibrate_index(root, encoder=make_encoder(), options=CalibrationOptions(k=(10,)))
    manifest = published(root)
    assert (manifest.format_version, manifest.files) == (3, files)
    assert manifest.index_id is not None
    check_searches("plain", root)


def test_a_snapshot_of_format_2_is_format_2(tmp_path):
    root = unpack("journal", tmp_path / "index")
    snapshot_index(root, tmp_path / "copy")
    assert published(tmp_path / "copy").format_version == 2
    check_searches("journal", tmp_path / "copy")


def test_both_formats_live_in_one_index_and_share_its_id(tmp_path):
    root = unpack("plain", tmp_path / "index")
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", corpus_rows()[:20])])
    build_index(corpus, make_encoder(), root, BuildOptions(dims=16, keep=9))
    first = published(root)
    Generations(root).rollback()
    check_searches("plain", root)
    with Index.open(root, encoder=make_encoder()) as index:
        index.upsert([Document("later", "w1 w2 w3")])
    compact_index(root, encoder=make_encoder(), keep=9)
    assert [format_of(Generations(root).path(name)) for name in Generations(root).complete()] == [2, 3, 3]
    assert published(root).index_id == first.index_id


def resume_corpus(root: Path, tmp_path: Path) -> Corpus:
    """The corpus of the killed build, which another machine has in another place."""
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", corpus_rows())])
    mark = Generations(root).path("000002") / "build.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "corpus": corpus.fingerprint()}))
    return corpus


def test_a_killed_build_resumes_into_format_3(tmp_path):
    root = unpack("killed", tmp_path / "index")
    options = BuildOptions(dims=16, filterable=("year",), lexical=LexicalOptions(), batch_size=10)
    result = build_index(resume_corpus(root, tmp_path), make_encoder(), root, options)
    assert (result.generation, result.rows, result.resumed_rows) == ("000002", COUNT, KILLED_AT)
    assert published(root).format_version == 3
    check_searches("killed", root)
    Generations(root).rollback()
    check_searches("killed", root)
    assert published(root).format_version == 2


def test_a_killed_build_of_another_corpus_is_refused_with_the_way_out(tmp_path):
    root = unpack("killed", tmp_path / "index")
    corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", corpus_rows())])
    options = BuildOptions(dims=16, filterable=("year",), lexical=LexicalOptions())
    with pytest.raises(BuildError, match=r"000002 is an interrupted build that differs in corpus.*--no-resume"):
        build_index(corpus, make_encoder(), root, options)
    result = build_index(corpus, make_encoder(), root, options, resume=False)
    assert (result.rows, result.resumed_rows) == (COUNT, 0)
