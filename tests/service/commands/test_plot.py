from matplotlib import pyplot as plt

from indexer import CalibratedPlan, FunnelStage, SecondLook
from service.commands.plot import _name, plot_plans


def plan(k, recall, milliseconds, **changes):
    values = {
        "structure": "hnsw",
        "dims": 16,
        "candidates": 50,
        "effort": 40,
        "stages": (FunnelStage(dims=32, keep=k),),
    }
    return CalibratedPlan(
        **{**values, "k": k, "recall": recall, "recall_low": recall - 0.02, "milliseconds": milliseconds, **changes}
    )


EXACT = {"structure": "scan", "dims": 32, "effort": None}


def test_the_plans_of_each_k_are_drawn(tmp_path, monkeypatch):
    plans = [plan(k, 0.8 + i / 20, 0.1 * (i + 1)) for k in (10, 100) for i in range(4)]
    plans += [plan(k, 1.0, 2.0, recall_low=1.0, **EXACT) for k in (10, 100)]
    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    plot_plans(plans, "1,000 documents", tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = drawn[0].axes
    assert axes.get_title() == "1,000 documents"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["recall@10", "recall@100"]
    labels = [label.get_text() for label in axes.texts]
    assert labels.count("exact scan") == 2
    assert "hnsw 16, K 50, effort 40" in labels
    monkeypatch.undo()
    plt.close(drawn[0])


def test_a_single_plan_has_a_plot(tmp_path):
    plot_plans([plan(10, 1.0, 2.0, recall_low=1.0, **EXACT)], "title", tmp_path / "front.png")
    assert (tmp_path / "front.png").exists()
    assert plt.get_fignums() == []


def test_labels_name_the_second_look():
    assert _name(plan(10, 0.9, 1, second_look=SecondLook(below=0.4, effort=80))) == "hnsw 16, K 50, effort 40, then 80"
