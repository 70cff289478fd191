from service.demo.plot import plot_scores


def test_the_plot_is_a_png(tmp_path):
    plot_scores({8: 0.1, 16: 0.2}, {8: 0.3, 16: 0.4}, "title", tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
