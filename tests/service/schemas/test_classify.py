import pytest
from pydantic import ValidationError

from models import Cascade, Classification
from service.schemas.classify import CascadeOut, ClassifyAnswer, ClassifyRequest

CASCADE = Cascade(sizes=(8, 32), thresholds=(0.9,), accuracy=0.8, dims=12.0, dims_summed=14.0)
RESULTS = [Classification(label="sea", confidence=0.9, dims=8), Classification(label="land", confidence=0.6, dims=32)]


def test_a_text_is_a_list_of_one():
    assert ClassifyRequest(input="the sea").input == ["the sea"]
    assert ClassifyRequest(images=["eA=="]).input is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "exactly one of input"),
        ({"input": "a", "images": ["eA=="]}, "exactly one of input"),
        ({"input": "a", "dims": 8, "accuracy": 0.5}, "give dims or accuracy, not both"),
        ({"input": "a", "dims": 0}, "greater than or equal to 1"),
        ({"input": "a", "accuracy": 1.5}, "less than or equal to 1"),
        ({"input": "a", "top": 3}, "Extra inputs"),
    ],
)
def test_what_contradicts_itself_is_refused(body, message):
    with pytest.raises(ValidationError, match=message):
        ClassifyRequest.model_validate(body)


def test_an_answer_is_read_from_the_classifiers_results():
    made = ClassifyAnswer.from_results(RESULTS, "topics", CASCADE, ClassifyRequest(input=["a", "b"], accuracy=0.7))
    assert made.model_dump() == {
        "results": [
            {"label": "sea", "confidence": 0.9, "dims": 8},
            {"label": "land", "confidence": 0.6, "dims": 32},
        ],
        "model": "topics",
        "mean_dims": 20.0,
        "cascade": {"accuracy": 0.8, "dims": 12.0, "dims_summed": 14.0, "met": True},
    }
    assert ClassifyAnswer.from_results(RESULTS, "topics", None, ClassifyRequest(input="a", dims=8)).cascade is None


@pytest.mark.parametrize(("target", "met"), [(None, True), (0.8, True), (0.81, False)])
def test_a_target_accuracy_is_met_or_not(target, met):
    assert CascadeOut.from_cascade(CASCADE, target).met is met
