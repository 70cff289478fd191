import shutil
from dataclasses import replace

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, build_index
from models import ModelError, load_encoder
from models.classifier.cascade import choose
from models.classifier.classifier import CLASSIFIER_NAME, HEADS_NAME, Classifier
from models.classifier.text_data import ClassificationData
from models.classifier.texts import save_classifier, train_classifier
from models.data.labelled_texts import split_labelled
from service import Settings
from service.http.server import running
from tests.conftest import make_encoder, write_lines
from tests.models.classifier.labelled import make_items, options
from tests.service.applications import error_of, serve

TEXTS = [item.text for item in make_items(80, seed=3)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    out, chosen = tmp_path_factory.mktemp("classifier") / "topics", options()
    data = ClassificationData.prepare(split_labelled(make_items(), 0.1, 0), make_encoder())
    save_classifier(train_classifier(data, chosen), out, chosen, "tiny")
    return out


@pytest.fixture(scope="module")
def classifier(directory):
    return Classifier.load(directory)


@pytest.fixture(scope="module")
def client(built, directory):
    settings = Settings(
        index=built, port=0, auth="off", log_level="warning", watch_share=0, classifier=str(directory), max_inputs=100
    )
    with running(settings) as url, httpx.Client(base_url=url, trust_env=False) as opened:
        yield opened


def classify(client, **body):
    return client.post("/v1/classify", json=body).raise_for_status().json()


def results(found):
    return [
        {"label": result.label, "confidence": pytest.approx(result.confidence), "dims": result.dims} for result in found
    ]


def test_texts_are_answered_by_the_shortest_sure_size(client, classifier):
    answer = classify(client, input=TEXTS)
    expected = classifier.classify(TEXTS)
    assert answer["results"] == results(expected)
    assert answer["model"] == "topics"
    assert answer["mean_dims"] == pytest.approx(np.mean([result.dims for result in expected]))
    cascade = classifier.cascade
    assert answer["cascade"] == {
        "accuracy": cascade.accuracy,
        "dims": cascade.dims,
        "dims_summed": cascade.dims_summed,
        "met": True,
    }
    assert classify(client, input=TEXTS[0])["results"] == results(classifier.classify(TEXTS[:1]))


def test_a_size_alone(client, classifier):
    answer = classify(client, input=TEXTS[:9], dims=8)
    assert answer["results"] == results(classifier.classify(TEXTS[:9], dims=8))
    assert (answer["mean_dims"], answer["cascade"]) == (8, None)


def test_the_accuracy_wanted_chooses_the_cascade(client, classifier):
    assert len(classifier.curve) > 1
    dims, sizes = [], []
    for wanted in (0.3, classifier.curve[-1].accuracy):
        cascade = choose(list(classifier.curve), wanted)
        answer = classify(client, input=TEXTS, accuracy=wanted)
        assert answer["results"] == results(classifier.classify(TEXTS, cascade=cascade))
        assert (answer["cascade"]["accuracy"], answer["cascade"]["met"]) == (cascade.accuracy, True)
        dims.append(answer["mean_dims"])
        sizes.append({result["dims"] for result in answer["results"]})
    assert dims[0] < dims[1]
    assert len(sizes[0]) > 1
    answer = classify(client, input=TEXTS[:2], accuracy=1.0)
    assert (answer["cascade"]["accuracy"], answer["cascade"]["met"]) == (classifier.curve[-1].accuracy, False)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({}, None, "give exactly one of input (texts) and images"),
        ({"input": "a", "images": ["eA=="]}, None, "give exactly one of input (texts) and images"),
        ({"images": ["eA=="]}, "images", "this classifier is for texts: give input instead of images"),
        ({"input": []}, "input", "at least one text"),
        ({"input": ["a", ""]}, "input", "text 1 is empty"),
        ({"input": [3]}, "input", "give a text or a list of texts"),
        ({"input": ["a"] * 101}, "input", "101 texts: this service allows at most 100"),
        ({"input": "a", "dims": 5}, "dims", "dims 5: the classifier has sizes [2, 8, 32]"),
        ({"input": "a", "dims": 8, "accuracy": 0.5}, None, "not both"),
        ({"input": "a", "accuracy": 80}, "accuracy", "less than or equal to 1"),
        ({"input": "a", "accuracy": "0.8"}, "accuracy", "valid number"),
        ({"input": "a", "top": 3}, "top", "Extra inputs"),
    ],
)
def test_what_cannot_be_classified_is_refused_by_name(client, body, param, message):
    response = client.post("/v1/classify", json=body)
    assert response.status_code == 422
    assert error_of(response)["param"] == param
    assert message in error_of(response)["message"]


@given(st.text(st.characters(codec="utf-8"), min_size=1) | st.lists(st.text(st.characters(codec="utf-8")), max_size=3))
def test_any_text_has_an_answer_or_a_reason(client, value):
    response = client.post("/v1/classify", json={"input": value})
    assert response.status_code in (200, 422)
    if response.status_code == 200:
        assert all(0 < result["confidence"] <= 1 for result in response.json()["results"])


def test_without_a_classifier_the_answer_says_how_to_get_one(built):
    async def scenario(client, engine):
        await engine.load()
        response = await client.post("/v1/classify", json={"input": "w1"})
        assert (response.status_code, error_of(response)["code"]) == (404, "no_classifier")
        assert "mrl train" in error_of(response)["message"]
        assert "--classifier" in error_of(response)["message"]

    serve(built, scenario, load=False)


def test_the_indexs_own_model_serves_where_it_is_a_classifier(directory, tmp_path):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "1", "text": "w1"}])
    build_index(Corpus([corpus]), load_encoder(str(directory)), tmp_path / "index", BuildOptions(dims=8))

    async def scenario(client, engine):
        await engine.load()
        assert engine.classifier.encoder is engine.index.encoder, "one model is in memory once"
        answer = (await client.post("/v1/classify", json={"input": "w1"})).raise_for_status().json()
        assert answer["model"] == "topics"
        assert (await client.post("/v1/search", json={"query": "w1"})).status_code == 200

    serve(tmp_path / "index", scenario, load=False)


def test_without_cascades_the_largest_size_answers(built, classifier):
    async def scenario(client, engine):
        await engine.load()
        engine.classifier = replace(classifier, cascade=None, curve=())
        answer = (await client.post("/v1/classify", json={"input": "w1"})).raise_for_status().json()
        assert (answer["mean_dims"], answer["cascade"]) == (32, None)
        response = await client.post("/v1/classify", json={"input": "w1", "accuracy": 0.5})
        assert (response.status_code, error_of(response)["param"]) == (422, "accuracy")

    serve(built, scenario, load=False)


def test_a_classifier_that_cannot_be_loaded_is_a_failure_to_start(built, directory, tmp_path):
    shutil.copytree(directory, tmp_path / "broken")
    (tmp_path / "broken" / HEADS_NAME).unlink()
    for place, message in ((tmp_path, f"{CLASSIFIER_NAME} is missing"), (tmp_path / "broken", "cannot read the heads")):
        settings = Settings(index=built, port=0, auth="off", watch_share=0, log_level="warning", classifier=str(place))
        with pytest.raises(ModelError, match=message), running(settings):
            pass
