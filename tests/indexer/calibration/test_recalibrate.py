import shutil

import numpy as np
import pytest

from indexer.calibration import CalibrationOptions, calibrate_index
from indexer.errors import BundleBusyError, BundleNotFoundError
from indexer.progress import Calibrating
from indexer.storage.generations import Generations
from indexer.storage.manifest import Manifest
from models import InvalidOptionError
from tests.conftest import make_encoder, make_texts


@pytest.fixture
def index_copy(small, tmp_path):

    shutil.copytree(small, tmp_path / "index")
    return tmp_path / "index"


def test_recalibration_changes_nothing_else_of_a_published_index(index_copy, measured_however_small):
    folder = index_copy / "generations" / "000001"
    before = Manifest.read(folder)
    assert before.plans == ()
    events = []
    manifest = calibrate_index(
        index_copy,
        make_texts(60, seed=5),
        CalibrationOptions(k=(10,), seconds=2),
        encoder=make_encoder(),
        report=events.append,
    )
    assert Manifest.read(folder) == manifest
    assert manifest.calibration.queries == "given"
    assert manifest.model_copy(update={"calibration": None}) == before
    assert manifest.differing_files(folder) == []
    assert set(map(type, events)) == {Calibrating}
    again = calibrate_index(index_copy, make_encoder().encode_queries(make_texts(60)), CalibrationOptions(k=(5,)))
    assert {plan.k for plan in again.plans} == {5}


def test_recalibration_needs_the_lock_and_an_index(index_copy, tmp_path):
    with Generations(index_copy).locked(), pytest.raises(BundleBusyError, match="another process is changing"):
        calibrate_index(index_copy, encoder=make_encoder())
    with pytest.raises(BundleNotFoundError, match="no index is published"):
        calibrate_index(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((3, 5)), r"query vectors of shape \(3, 5\): give at least one of 32 dimensions"),
        (np.zeros((0, 32)), r"query vectors of shape \(0, 32\)"),
        (np.full((1, 32), np.nan), "a query vector holds NaN or infinity"),
    ],
)
def test_given_vectors_are_checked(index_copy, vectors, message):
    with pytest.raises(InvalidOptionError, match=message):
        calibrate_index(index_copy, vectors, encoder=make_encoder())
