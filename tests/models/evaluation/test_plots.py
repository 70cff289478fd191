from matplotlib import image

from models.evaluation.labels import EvaluationOptions, evaluate_labels
from models.evaluation.plots import plot_evaluations
from tests.models.evaluation.conftest import QUICK


def test_every_plot_is_drawn(tmp_path, labelled_vectors, evaluation):
    one_size = evaluate_labels(*labelled_vectors, (8,), options=EvaluationOptions(**QUICK))
    paths = plot_evaluations({"MRL": evaluation, "FF-8": one_size}, tmp_path / "new", "synthetic")
    assert [path.name for path in paths] == ["linear.png", "nearest.png", "map.png", "few_shot.png", "retrieval.png"]
    for path in paths:
        assert image.imread(path).std() > 0.01, path


def test_plots_without_results_are_not_drawn(tmp_path, labelled_vectors):
    bare = evaluate_labels(*labelled_vectors, (8,), options=EvaluationOptions(shots=(), linear=False))
    assert [path.name for path in plot_evaluations({"bare": bare}, tmp_path, "t")] == ["nearest.png", "map.png"]
