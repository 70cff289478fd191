import json

import pytest

from tests.models.image_models import make_clip, write_digits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_digits(tmp_path_factory.mktemp("digits"), 40)
    (folder / "0" / "broken.png").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module")
def clip_directory(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture
def index(mrl, folder, clip_directory, tmp_path):
    status, out, err = mrl("index", "build", folder, "--model", clip_directory, "--out", tmp_path / "index", "--json")
    assert status == 0, err
    built = json.loads(out)
    assert (built["documents"], built["rejected"]) == (40, 1)
    return tmp_path / "index"


def test_a_folder_of_images_is_searched_by_text_and_by_image(mrl, index, folder, tmp_path):
    status, out, err = mrl("search", index, "a photo of five", "-k", "3")
    assert status == 0, err
    assert len(out.splitlines()) == 3
    image = folder / "5" / "0005.png"
    status, out, err = mrl("search", index, "--image", image, "-k", "3", "--json")
    assert status == 0, err
    first = json.loads(out)["results"][0]
    assert first["id"] == "5/0005.png"
    assert first["payload"] == {"path": str(image.resolve()), "width": 8, "height": 8}
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "copy.png").write_bytes(image.read_bytes())
    (tmp_path / "more" / "notes.txt").write_text("A copy.")
    status, _, err = mrl("index", "append", index, tmp_path / "more")
    assert status == 0, err
    assert "1 documents added" in err
    status, out, _ = mrl("search", index, "--image", image, "-k", "2")
    assert {line.split()[2] for line in out.splitlines()} == {"5/0005.png", "copy.png"}


def test_mistakes_are_one_clear_line(mrl, index, built, folder, tmp_path):
    for arguments, status, message in (
        ((index,), 2, "give either a text to search for or --image FILE"),
        ((index, "five", "--image", folder / "5" / "0005.png"), 2, "give either a text"),
        ((index, "--image", folder / "0" / "broken.png"), 1, "broken.png: no image of a known kind: PNG, JPEG"),
        ((index, "--image", tmp_path / "gone.png"), 1, "No such file or directory"),
        ((built, "--image", folder / "5" / "0005.png"), 1, "encodes no images: search by text"),
    ):
        code, _, err = mrl("search", *arguments)
        assert code == status
        assert message in " ".join(err.replace("│", " ").split())
    code, _, err = mrl("index", "build", folder / "5", "--out", tmp_path / "other")
    assert code == 1
    assert "error: model 'wordllama' encodes no images: give a CLIP-like model or a vision model" in err


def test_a_vision_model_is_trained_from_a_folder_and_indexes_it(mrl, folder, tmp_path):
    out = tmp_path / "model"
    arguments = ("train", folder, "--sizes", "4,8,16", "--epochs", "2", "--batch-size", "16", "--device", "cpu")
    status, printed, err = mrl(*arguments, "--out", out, "--validation", "0.2")
    assert status == 0, err
    assert "images to train on" in err
    assert "broken.png: no image of a known kind" in err
    assert "top-1 accuracy, 10 labels" in printed + err
    status, _, err = mrl("index", "build", folder, "--model", out, "--out", tmp_path / "index")
    assert status == 0, err
    status, printed, _ = mrl("search", tmp_path / "index", "--image", folder / "5" / "0005.png", "-k", "1")
    assert printed.split()[2] == "5/0005.png"
    for extra, message in (
        (("--width", "32"), "give a single folder, and --sizes instead of --width"),
        (("--temperature", "0.1"), "are for pairs, but the data are labelled images"),
        (("--base", "wordllama", "--kind", "slimmable"), "kind 'slimmable': known for images are mrl, mrl-e, ff"),
        ((), "already holds a model"),
    ):
        code, _, err = mrl(*arguments, "--out", out, *extra)
        assert code
        assert message in " ".join(err.replace("│", " ").split())
