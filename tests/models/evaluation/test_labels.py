import json

import numpy as np
import pytest
from matplotlib import image

from models import InvalidOptionError, truncate
from models.evaluation.labels import EvaluationOptions, between, evaluate_labels
from models.evaluation.plots import plot_evaluations
from models.evaluation.probe import linear_probe

QUICK = {"episodes": 2, "shots": (1, 3)}


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(3)
    scale = np.linspace(2, 0.4, 32)
    centres = rng.normal(size=(5, 32)) * scale
    labels = rng.integers(0, 5, size=360)
    vectors = (centres[labels] + 2 * rng.normal(size=(360, 32)) * scale).astype(np.float32)
    names = np.array(["v", "w", "x", "y", "z"])[labels]
    return vectors[:260], names[:260], vectors[260:], names[260:]


@pytest.fixture(scope="module")
def evaluation(labelled):
    return evaluate_labels(*labelled, sizes=(4, 8, 16, 32), options=EvaluationOptions(**QUICK))


def test_sizes_between_given_ones_are_measured_and_marked(evaluation):
    assert [score.size for score in evaluation.sizes] == [4, 6, 8, 12, 16, 24, 32]
    assert [score.size for score in evaluation.sizes if score.interpolated] == [6, 12, 24]
    assert between((8, 16, 32, 2048)) == [12, 24, 1040]
    assert between((1, 2, 3)) == []


def test_figures_are_those_of_the_parts(labelled, evaluation):
    train, train_labels, test, test_labels = labelled
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


def test_labels_of_another_kind_give_the_same(labelled, evaluation):
    train, train_labels, test, test_labels = labelled
    numbers = {name: number for number, name in enumerate("vwxyz")}
    again = evaluate_labels(
        train,
        np.array([numbers[name] for name in train_labels]),
        test,
        np.array([numbers[name] for name in test_labels]),
        (4, 8, 16, 32),
        EvaluationOptions(**QUICK),
    )
    assert (again.sizes, again.retrieval) == (evaluation.sizes, evaluation.retrieval)


def test_a_label_never_trained_counts_as_wrong(labelled):
    train, train_labels, test, _ = labelled
    strange = evaluate_labels(train, train_labels, test, np.array(["?"] * len(test)), (32,), EvaluationOptions(**QUICK))
    (score,) = strange.sizes
    assert (score.linear, score.retrieval.top1, score.retrieval.map, score.few_shot[3].mean) == (0, 0, 0, 0)


def test_what_is_not_asked_for_is_left_out(labelled):
    told = []
    options = EvaluationOptions(interpolated=False, shots=(), linear=False, candidates=50)
    evaluation = evaluate_labels(*labelled, (8, 32), options, told.append)
    assert told == ["retrieval"]
    assert [(score.size, score.linear, score.few_shot) for score in evaluation.sizes] == [(8, None, {}), (32, None, {})]
    adaptive, funnel = evaluation.retrieval
    assert funnel.plan.sizes == (8, 16, 32)
    assert (adaptive.plan.sizes, adaptive.plan.keeps) == ((8, 32), (50,))


def test_json_holds_every_figure(evaluation):
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
        ({"sizes": (8, 64)}, "needed are rows of 64 dimensions"),
        ({"sizes": (16, 8)}, "strictly increasing"),
        ({"test_labels": np.array(["v"])}, "labels of shape"),
        ({"test": np.zeros((0, 32), np.float32), "test_labels": np.zeros(0, str)}, "at least one"),
        ({"train": np.full((260, 32), np.nan, np.float32)}, "training vectors hold numbers that are not finite"),
        ({"train_labels": np.array(["v"] * 260)}, "the only label to train on is .*v"),
    ],
)
def test_what_cannot_be_measured_is_refused(labelled, change, message):
    names = ("train", "train_labels", "test", "test_labels")
    with pytest.raises(InvalidOptionError, match=message):
        evaluate_labels(**{**dict(zip(names, labelled, strict=True)), "sizes": (8, 32), **change})


@pytest.mark.parametrize("option", [{"candidates": 9}, {"episodes": 1}, {"seed": -1}, {"shots": (0,)}])
def test_options_out_of_bounds_are_refused(option):
    with pytest.raises(InvalidOptionError, match=next(iter(option))):
        EvaluationOptions(**option)


def test_every_picture_is_drawn(tmp_path, labelled, evaluation):
    one_size = evaluate_labels(*labelled, (8,), EvaluationOptions(**QUICK))
    paths = plot_evaluations({"MRL": evaluation, "FF-8": one_size}, tmp_path / "new", "made up")
    assert [path.name for path in paths] == ["linear.png", "nearest.png", "map.png", "few_shot.png", "retrieval.png"]
    for path in paths:
        assert image.imread(path).std() > 0.01, path


def test_pictures_without_figures_are_not_drawn(tmp_path, labelled):
    bare = evaluate_labels(*labelled, (8,), EvaluationOptions(shots=(), linear=False))
    assert [path.name for path in plot_evaluations({"one": bare}, tmp_path, "t")] == ["nearest.png", "map.png"]
