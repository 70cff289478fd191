import yaml

from models import Nesting
from models.directory.card import CardFacts, write_card


def facts(**changes):
    values = {
        "title": "A student",
        "summary": "Learned from a teacher.",
        "nesting": Nesting((8, 32), (2.0, 1.0)),
        "content_hash": "ab" * 32,
        "training": {"data": "300 pairs | of words", "seed": 7},
        "metrics": {"nDCG@10, before": {8: 0.25, 32: 0.5}, "nDCG@10, after": {8: 0.75}},
        **changes,
    }
    return CardFacts(**values)


def test_a_card_tells_data_sizes_weights_metrics_seed_versions_and_hash(tmp_path):
    path = write_card(tmp_path, facts(tags=("static", "matryoshka")))
    assert path.name == "README.md"
    _, front, body = path.read_text().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "matryoshka", "static"],
    }
    for line in (
        "# A student",
        "| data | 300 pairs \\| of words |",
        "| seed | 7 |",
        "| 8 | 0.250 | 0.750 |",
        "| 32 | 0.500 |  |",
        "8: 2, 32: 1",
        "torch 2.",
        "ab" * 32,
        "truncate_dim=8",
    ):
        assert line in body, line


def test_only_a_hub_name_is_given_as_the_base(tmp_path):
    assert "base_model: someone/model" in write_card(tmp_path, facts(base="someone/model")).read_text()
    assert "base_model" not in write_card(tmp_path, facts(base=str(tmp_path))).read_text()


def test_without_metrics_it_says_so_and_usage_can_be_its_own(tmp_path):
    text = write_card(tmp_path, facts(metrics={}, usage="print($dimension)")).read_text()
    assert "Not measured." in text
    assert "print(32)" in text
