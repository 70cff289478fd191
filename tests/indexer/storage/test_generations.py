import multiprocessing
import shutil

import pytest

from indexer import BuildOptions, BundleError, Corpus, Generations, Index, build_index
from indexer.errors import BundleBusyError, BundleCorruptError, BundleNotFoundError
from tests.conftest import make_encoder, write_lines


@pytest.fixture
def three(tmp_path):
    """An index with generations 1, 2 and 3 of one, two and three documents; the third is published."""
    for number in (1, 2, 3):
        rows = [{"_id": str(i), "text": f"w{i}"} for i in range(number)]
        corpus = Corpus([write_lines(tmp_path / "corpus.jsonl", rows)])
        build_index(corpus, make_encoder(), tmp_path / "index", BuildOptions(keep=3))
    return Generations(tmp_path / "index")


def served(generations):
    with Index.open(generations.root, encoder=make_encoder()) as index:
        return index.generation, len(index)


def test_the_newest_is_published(three):
    assert three.complete() == ["000001", "000002", "000003"]
    assert served(three) == ("000003", 3)


def test_rollback_publishes_the_one_before_and_forward_again(three):
    assert three.rollback() == ("000003", "000002")
    assert served(three) == ("000002", 2)
    assert three.rollback() == ("000002", "000001")
    assert three.rollback("3") == ("000001", "000003")
    assert served(three) == ("000003", 3)


def test_rollback_to_nothing_is_refused_and_changes_nothing(three):
    three.rollback("1")
    with pytest.raises(BundleError, match="has no earlier generation; published is 000001"):
        three.rollback()
    for name in ("7", "x", "../..", ""):
        with pytest.raises(BundleError, match="has no complete generation"):
            three.rollback(name)
    assert served(three) == ("000001", 1)


def test_rollback_to_a_damaged_generation_is_refused(three):
    (three.path("000002") / "vectors.npy").unlink()
    with pytest.raises(BundleCorruptError, match=r"vectors.npy is missing, the manifest says \d+ bytes"):
        three.rollback()
    assert served(three) == ("000003", 3)


def test_an_open_index_keeps_working_after_its_generation_is_deleted(three):
    with Index.open(three.root, encoder=make_encoder()) as index:
        before = index.search(["w1"]).hits
        three.rollback("1")
        three.discard("000003")
        assert index.search(["w1"]).hits == before


def test_the_published_generation_is_never_discarded(three):
    with pytest.raises(BundleError, match="is published and is not deleted"):
        three.discard("000003")


@pytest.mark.parametrize(
    ("keep", "left"), [(1, ["000003"]), (2, ["000002", "000003"]), (9, ["000001", "000002", "000003"])]
)
def test_prune_keeps_the_newest(three, keep, left):
    three.prune(keep)
    assert three.complete() == left


def test_a_generation_made_aside_is_complete_before_it_has_its_name(three):
    folder = three.start_aside()
    (folder / "half").write_text("left by a killed run")
    folder = three.start_aside()
    assert list(folder.iterdir()) == []
    assert three.complete() == ["000001", "000002", "000003"]
    shutil.copytree(three.path("000001"), folder, dirs_exist_ok=True)
    assert three.adopt(folder, updates=0) == "000004"
    assert not folder.exists()
    assert served(three) == ("000003", 3)
    three.publish("000004")
    assert served(three) == ("000004", 1)


def test_an_unpublished_index_is_refused_with_the_build_command(tmp_path):
    with pytest.raises(BundleNotFoundError, match=r"no index is published at .*: build one with mrl index build"):
        Index.open(tmp_path / "none")


def test_a_damaged_current_is_refused(three):
    (three.root / "CURRENT").write_text("../../etc\n")
    with pytest.raises(BundleError, match="not the number of a generation"):
        Index.open(three.root)


def test_a_published_generation_that_was_deleted_is_an_error(three):
    shutil.rmtree(three.path("000003"))
    with pytest.raises(BundleCorruptError, match=r"000003.manifest.json is missing"):
        Index.open(three.root)


def _hold(root, ready, done):
    with Generations(root).locked():
        ready.set()
        done.wait(30)


def test_two_builders_exclude_each_other(three):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(three.root, ready, done))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(BundleBusyError, match="another process is changing"), three.locked():
            pass
    finally:
        done.set()
        other.join()
    with three.locked():
        pass
