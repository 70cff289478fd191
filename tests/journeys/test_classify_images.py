"""Images are classified by the command and over HTTP as texts are."""

import base64
import json

import httpx
import numpy as np
import pytest

from indexer import BuildOptions, Corpus, build_index
from models import InvalidOptionError, Nesting, load_encoder
from models.classifier.cascade import choose
from models.classifier.classifier import Classifier
from models.classifier.image_options import ImageTrainingOptions
from models.classifier.images import save_image_classifier, train_images
from models.data.images import read_image
from models.data.labelled_images import list_labelled_images, split_labelled_images
from service import Settings
from service.client import Client
from service.http.server import running
from tests.models.image_models import write_digits
from tests.service.applications import error_of
from tests.service.commands.test_train_labelled import interrupt_at
from tests.service.routes.test_classify import classify, results

TRAIN = ("--sizes", "4,8,16", "--batch-size", "32", "--device", "cpu", "--validation", "0.2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"), 300)


@pytest.fixture(scope="module")
def directory(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "digits"
    options = ImageTrainingOptions(nesting=Nesting((4, 8, 16)), epochs=4, batch_size=32, device="cpu")
    parts = split_labelled_images(list_labelled_images(folder), 0.2, seed=0)
    save_image_classifier(train_images(parts, options), out, options, None)
    return out


@pytest.fixture(scope="module")
def classifier(directory):
    return Classifier.load(directory)


def expected(classifier, paths, **choice):
    return classifier.classify_vectors(classifier.encoder.encode_images([read_image(path) for path in paths]), **choice)


def test_a_folder_of_images_is_classified(mrl, directory, folder, classifier):
    status, out, err = mrl("classify", directory, folder, "--json")
    assert status == 0, err
    answers = json.loads(out)["answers"]
    items = list_labelled_images(folder)
    assert [answer.pop("image") for answer in answers] == [str(item.path) for item in items]
    found = expected(classifier, [item.path for item in items])
    assert [(answer["label"], answer["dims"]) for answer in answers] == [
        (result.label, result.dims) for result in found
    ]
    np.testing.assert_allclose(
        [answer["confidence"] for answer in answers], [result.confidence for result in found], atol=1e-5
    )
    assert np.mean([answer["label"] == item.label for answer, item in zip(answers, items, strict=True)]) > 0.7
    assert json.loads(out)["mean_dims"] == pytest.approx(np.mean([result.dims for result in found]))


def test_accuracy_a_size_and_a_limit_are_chosen_as_for_texts(mrl, directory, folder, classifier):
    paths = [item.path for item in list_labelled_images(folder)[:60]]
    assert len(classifier.curve) > 1
    dims = []
    for wanted in (0.2, classifier.curve[-1].accuracy):
        status, out, _ = mrl("classify", directory, folder, "--limit", 60, "--accuracy", wanted, "--json")
        assert status == 0
        found = expected(classifier, paths, cascade=choose(list(classifier.curve), wanted))
        assert [answer["dims"] for answer in json.loads(out)["answers"]] == [result.dims for result in found]
        dims.append(json.loads(out)["mean_dims"])
    assert dims[0] < dims[1]
    status, out, err = mrl("classify", directory, paths[0], paths[1], "--dims", 8)
    assert status == 0
    assert "8.0 dims per image on average" in err
    assert "image" in out
    assert len([line for line in out.splitlines() if "digits" in line]) == 2
    status, _, err = mrl("classify", directory, paths[0], "--dims", 5)
    assert status == 1
    assert "dims 5: the classifier has sizes [4, 8, 16]" in err


def test_broken_images_are_listed_and_passed_over(mrl, directory, folder, tmp_path):
    good = list_labelled_images(folder)[0].path
    (tmp_path / "a.png").write_bytes(good.read_bytes())
    (tmp_path / "b.png").write_bytes(b"not an image")
    (tmp_path / "c.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "d.txt").write_text("not looked at")
    status, out, err = mrl("classify", directory, tmp_path, tmp_path / "gone.png", "--json")
    assert status == 0, err
    assert [answer["image"] for answer in json.loads(out)["answers"]] == [str(tmp_path / "a.png")]
    for message in ("b.png: no image of a known kind", "c.png: ", "gone.png: No such file"):
        assert f"skipped {tmp_path / message.split(':')[0]}" in err
        assert message in err
    assert err.count("skipped") == 3
    (tmp_path / "a.png").unlink()
    status, _, err = mrl("classify", directory, tmp_path)
    assert status == 1
    assert "no image to classify: give image files or folders of them" in err
    status, _, err = mrl("classify", directory)
    assert status == 1
    assert "no image to classify" in err


@pytest.mark.parametrize("what", ["the sea is rising", "rows.csv", "empty"])
def test_a_text_is_not_an_image(mrl, directory, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text\na\n")
    (tmp_path / "empty").mkdir()
    status, _, err = mrl("classify", directory, what)
    assert status == 1
    assert f"'{what}' is neither an image file (.png, .jpg" in err
    assert f"{directory} classifies images" in err


def test_the_library_refuses_texts_too(classifier):
    assert classifier.of_images
    with pytest.raises(InvalidOptionError, match="classifies images, not texts: give images"):
        classifier.classify(["the sea"])


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_and_the_same_command_goes_on(mrl, folder, tmp_path, monkeypatch):
    arguments = ("train", folder, "--out", tmp_path / "model", "--epochs", "3", *TRAIN)
    with monkeypatch.context() as patch:
        patch.setattr("service.commands.progress.TrainingProgress.report", interrupt_at(9))
        status, _, err = mrl(*arguments)
    assert status == 0, err
    assert "interrupted after 1 epochs" in err
    status, _, err = mrl("classify", tmp_path / "model", folder, "--limit", "1")
    assert status == 0, err
    status, _, err = mrl(*arguments, "--learning-rate", "0.01")
    assert status == 1
    assert "it had {'learning_rate': None}, this run has {'learning_rate': 0.01}" in err
    status, _, err = mrl(*arguments)
    assert status == 0, err
    assert "finished after 3 epochs" in err
    assert err.count(" accuracy  4: ") == 2


@pytest.fixture(scope="module")
def served(built, directory):
    limits = {"max_images": 3, "max_image_pixels": 190}
    settings = Settings(
        index=built, port=0, auth="off", log_level="warning", watch_share=0, classifier=str(directory), **limits
    )
    with running(settings) as url:
        yield url


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served, trust_env=False) as opened:
        yield opened


def test_images_over_http_are_answered_by_the_shortest_sure_size(client, folder, classifier, served):
    paths = [item.path for item in list_labelled_images(folder)[::120]]
    assert len(paths) == 3
    sent = [base64.b64encode(path.read_bytes()).decode() for path in paths[:2]]
    answer = classify(client, images=sent)
    assert answer["results"] == results(expected(classifier, paths[:2]))
    assert (answer["model"], answer["cascade"]["dims"]) == ("digits", classifier.cascade.dims)
    answer = classify(client, images=sent, dims=8)
    assert answer["results"] == results(expected(classifier, paths[:2], dims=8))
    with Client(served) as ours:
        found = ours.classify(images=[path.read_bytes() for path in paths[:2]])
    assert [result.label for result in found.results] == [result.label for result in expected(classifier, paths[:2])]


def test_what_cannot_be_classified_is_refused_by_name(client, folder):
    image = base64.b64encode(list_labelled_images(folder)[0].path.read_bytes()).decode()
    for body, param, message in (
        ({"input": "the sea"}, "input", "this classifier is for images: give images instead of input"),
        ({"images": []}, "images", "0 images: this service allows 1 to 3"),
        ({"images": [image] * 4}, "images", "4 images: this service allows 1 to 3"),
        ({"images": [image] * 3}, "images.2", "192 pixels in the images up to images.2"),
        ({"images": [image, "?"]}, "images.1", "is not base64"),
        ({"images": [image, "eA=="]}, "images.1", "no image of a known kind"),
        ({"images": [image[:80]]}, "images", "image of 60 bytes"),
        ({"images": "eA=="}, "images", "valid list"),
    ):
        response = client.post("/v1/classify", json=body)
        assert response.status_code == 422, response.text
        assert error_of(response)["param"] == param
        assert message in error_of(response)["message"]


def test_an_index_of_a_model_without_a_text_side_is_served_and_searched_by_image(directory, folder, tmp_path):
    build_index(Corpus([folder]), load_encoder(str(directory), device="cpu"), tmp_path / "index", BuildOptions())
    settings = Settings(
        index=tmp_path / "index", classifier=str(directory), port=0, auth="off", device="cpu", log_level="warning"
    )
    item = list_labelled_images(folder)[0]
    image = base64.b64encode(item.path.read_bytes()).decode()
    with running(settings) as url, httpx.Client(base_url=url, trust_env=False) as client:
        hit = client.post("/v1/search", json={"image": image, "k": 1}).json()["results"][0]
        assert hit["id"] == item.path.relative_to(folder).as_posix()
        refused = client.post("/v1/search", json={"query": "five"})
        embedding = client.post("/v1/embeddings", json={"input": "five", "model": directory.name})
        for answer in (refused, embedding):
            assert answer.status_code == 422
            assert "encodes images only, not 'five': give an image" in error_of(answer)["message"]
