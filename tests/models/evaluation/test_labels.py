import json

import numpy as np
import pytest

from models import InvalidOptionError, truncate
from models.evaluation.labels import EvaluationOptions, between, evaluate_labels
from models.evaluation.probe import linear_probe
from models.progress import Evaluating
from tests.models.evaluation.conftest import QUICK


def test_sizes_between_given_ones_are_measured_and_marked(evaluation):
    assert [score.size for score in evaluation.sizes] == [4, 6, 8, 12, 16, 24, 32]
    assert [score.size for score in evaluation.sizes if score.interpolated] == [6, 12, 24]
    assert between((8, 16, 32, 2048)) == [12, 24, 1040]
    assert between((1, 2, 3)) == []


def test_scores_are_those_of_the_parts(labelled_vectors, evaluation):
    train, train_labels, test, test_labels = labelled_vectors
    for score in evaluation.sizes:
        cut_train, cut_test = truncate(train, score.size), truncate(test, score.size)
        assert score.linear == linear_probe(cut_train, train_labels, cut_test, test_labels)
        nearest = train_labels[np.argmax(cut_test @ cut_train.T, axis=1)]
        assert score.retrieval.top1 == pytest.approx((nearest == test_labels).mean())
        assert score.retrieval.multiply_adds == score.size * 260
        assert score.classifier_multiply_adds == score.size * 5
        assert list(score.few_shot) == [1, 3]
    assert evaluation.sizes[-1].linear > evaluation.sizes[0].linear
    assert evaluation.seconds.keys() == {"retrieval", "few-shot", "linear probes"}


def test_every_pair_of_trained_sizes_and_every_funnel(evaluation):
    adaptive = [score.plan.sizes for score in evaluation.retrieval if score.plan.kind == "adaptive"]
    assert adaptive == [(4, 8), (4, 16), (4, 32), (8, 16), (8, 32), (16, 32)]
    assert {score.plan.keeps for score in evaluation.retrieval if score.plan.kind == "adaptive"} == {(200,)}
    funnels = [score.plan.sizes for score in evaluation.retrieval if score.plan.kind == "funnel"]
    assert funnels == [(4, 8, 16, 32), (8, 16, 32)]


def test_labels_as_numbers_give_the_same(labelled_vectors, evaluation):
    train, train_labels, test, test_labels = labelled_vectors
    numbers = {name: number for number, name in enumerate("vwxyz")}
    again = evaluate_labels(
        train,
        np.array([numbers[name] for name in train_labels]),
        test,
        np.array([numbers[name] for name in test_labels]),
        (4, 8, 16, 32),
        options=EvaluationOptions(**QUICK),
    )
    assert (again.sizes, again.retrieval) == (evaluation.sizes, evaluation.retrieval)


def test_a_label_without_training_rows_counts_as_wrong(labelled_vectors):
    train, train_labels, test, _ = labelled_vectors
    strange = evaluate_labels(
        train, train_labels, test, np.array(["?"] * len(test)), (32,), options=EvaluationOptions(**QUICK)
    )
    (score,) = strange.sizes
    assert (score.linear, score.retrieval.top1, score.retrieval.map, score.few_shot[3].mean) == (0, 0, 0, 0)


def test_parts_that_are_switched_off_are_skipped(labelled_vectors):
    events = []
    options = EvaluationOptions(interpolated=False, shots=(), linear=False, candidates=50)
    evaluation = evaluate_labels(*labelled_vectors, (8, 32), options=options, report=events.append)
    assert events == [Evaluating(what="retrieval")]
    assert [(score.size, score.linear, score.few_shot) for score in evaluation.sizes] == [(8, None, {}), (32, None, {})]
    adaptive, funnel = evaluation.retrieval
    assert funnel.plan.sizes == (8, 16, 32)
    assert (adaptive.plan.sizes, adaptive.plan.keeps) == ((8, 32), (50,))


def test_json_holds_every_score(evaluation):
    read = json.loads(json.dumps(evaluation.to_json()))
    assert (read["train"], read["test"], read["classes"]) == (260, 100, 5)
    first = read["sizes"][0]
    assert first["multiply_adds"] == {"classifier": 20, "search": 1040}
    assert first["few_shot"]["1"]["mean"] == evaluation.sizes[0].few_shot[1].mean
    assert first["precision"].keys() == {"10", "25", "50", "100"}
    funnel = read["retrieval"][-1]
    assert (funnel["search"], funnel["sizes"], funnel["candidates"]) == ("funnel", [8, 16, 32], [200, 100])
    assert funnel["multiply_adds"] == 8 * 260 + 200 * 16 + 100 * 32
    assert read["options"]["episodes"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (8, 64)}, "give at least one row of 64 dimensions"),
        ({"sizes": (16, 8)}, "strictly increasing"),
        ({"test_labels": np.array(["v"])}, "labels of shape"),
        ({"test": np.zeros((0, 32), np.float32), "test_labels": np.zeros(0, str)}, "at least one"),
        ({"train": np.full((260, 32), np.nan, np.float32)}, "training vectors contain NaN or infinity"),
        ({"train_labels": np.array(["v"] * 260)}, "the only training label is .*v"),
    ],
)
def test_invalid_arguments_are_refused(labelled_vectors, change, message):
    names = ("train", "train_labels", "test", "test_labels")
    with pytest.raises(InvalidOptionError, match=message):
        evaluate_labels(**{**dict(zip(names, labelled_vectors, strict=True)), "sizes": (8, 32), **change})


@pytest.mark.parametrize("option", [{"candidates": 9}, {"episodes": 1}, {"seed": -1}, {"shots": (0,)}])
def test_options_out_of_bounds_are_refused(option):
    with pytest.raises(InvalidOptionError, match=next(iter(option))):
        EvaluationOptions(**option)
