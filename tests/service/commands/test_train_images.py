import pytest

from models import Classifier
from tests.models.image_models import write_digits


@pytest.fixture
def folder(tmp_path):
    folder = write_digits(tmp_path / "digits", 120)
    (folder / "0" / "broken.png").write_bytes(b"?")
    return folder


def test_a_folder_of_images_trains_a_classifier(mrl, folder, tmp_path):
    out = tmp_path / "model"
    options = ["--sizes", "4,8", "--epochs", "1", "--batch-size", "32", "--device", "cpu", "--validation", "0.2"]
    status, printed, err = mrl("train", folder, "--out", out, *options)
    assert status == 0, err
    assert "images to train on" in err
    assert f"skipped {folder / '0' / 'broken.png'}: " in err
    assert "top-1 accuracy, 10 labels" in printed
    assert Classifier.load(out).of_images
    status, _, err = mrl("train", folder, "--out", out, *options)
    assert status == 1
    assert "already holds a model" in err
