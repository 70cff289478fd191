import shutil

import pytest

from indexer import BundleCorruptError, LexicalOptions
from indexer.plan import SearchOptions, make_plan
from indexer.search import generation
from indexer.search.generation import OpenedGeneration
from indexer.search.results import StageClock
from indexer.storage.manifest import Manifest
from models import InvalidOptionError
from tests.conftest import DIMENSION, make_encoder, make_index, make_texts


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The directory of a generation with words, over a graph."""
    options = {"shortlist": "hnsw", "lexical": LexicalOptions(), "calibration": None}
    with make_index(tmp_path_factory.mktemp("index"), make_texts(60), **options) as index:
        return index.opened.path


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / made.name)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)


def test_its_parts_fit_together(made):
    opened = OpenedGeneration(made)
    try:
        assert (len(opened.vectors), opened.vectors.dimension, opened.manifest.shortlist.dims) == (60, DIMENSION, 16)
        plan = make_plan(SearchOptions(k=3, dims=DIMENSION), 60, DIMENSION, 16, "hnsw")
        query = make_encoder().encode_queries(make_texts(60)[7:8])
        _, rows = opened.ranker.rank(query, plan, None, StageClock())
        assert opened.documents.fetch([int(rows[0, 0])])[0].id == "7"
        assert opened.lexical is not None
    finally:
        opened.close()


def test_without_words_there_is_no_lexical_index(tmp_path):
    with make_index(tmp_path, ["w1"], calibration=None) as index:
        assert index.opened.lexical is None


@pytest.mark.parametrize("verify", ["sizes", "loaded", "all"])
def test_what_is_verified(copy, verify):
    """Each level detects a damaged file of its own kind, and files of another size are always detected."""
    OpenedGeneration(copy, verify).close()
    flip(copy / "vectors.npy")
    if verify == "all":
        with pytest.raises(BundleCorruptError, match=r"vectors\.npy differ from the manifest"):
            OpenedGeneration(copy, verify)
    else:
        OpenedGeneration(copy, verify).close()
    flip(copy / "prefix_norms.f32")
    if verify == "sizes":
        OpenedGeneration(copy, verify).close()
    else:
        with pytest.raises(BundleCorruptError, match=r"prefix_norms\.f32"):
            OpenedGeneration(copy, verify)
    with (copy / "documents.sqlite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleCorruptError, match=r"documents\.sqlite"):
        OpenedGeneration(copy, verify)


def with_structure(monkeypatch, kind):
    """Let every manifest name another structure."""
    read = Manifest.read.__func__

    def changed(cls, path):
        manifest = read(cls, path)
        return manifest.model_copy(update={"shortlist": manifest.shortlist.model_copy(update={"kind": kind})})

    monkeypatch.setattr(Manifest, "read", classmethod(changed))


def test_an_unknown_structure_is_named(made, monkeypatch):
    with_structure(monkeypatch, "tree")
    with pytest.raises(BundleCorruptError, match=r"unknown shortlist 'tree'; known are .*hnsw"):
        OpenedGeneration(made)


def test_a_structure_this_machine_cannot_run_is_refused_before_files_are_read(made, monkeypatch):
    def unavailable(kind, *, build):
        raise InvalidOptionError("shortlist", f"{kind} needs a GPU")

    monkeypatch.setattr(generation, "require_available", unavailable)
    monkeypatch.setattr(Manifest, "check", lambda *_: pytest.fail("read"))
    with pytest.raises(InvalidOptionError, match="hnsw needs a GPU"):
        OpenedGeneration(made)
