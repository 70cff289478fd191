import math

import pytest

from indexer import (
    HYBRID_VARIANTS,
    BuildOptions,
    Corpus,
    Index,
    Judged,
    LexicalOptions,
    build_index,
    evaluate_index,
    read_judged,
)
from models import DataError, load_encoder
from tests.conftest import make_encoder, make_index, make_texts, write_lines

QUERIES = [{"_id": "q1", "text": "w1"}, {"_id": "q2", "text": "w2"}, {"_id": "unjudged", "text": "w3"}]


@pytest.mark.parametrize(
    "qrels",
    [
        "query-id\tcorpus-id\tscore\nq1\t0\t2\nq2\t1\t1\n",
        "q1 0 0 2\nq2 0 1 1\n",
        "q1\t0\t2\n\nq2\t1\t1",
    ],
)
def test_judgements_in_their_usual_forms(tmp_path, qrels):
    (tmp_path / "qrels.tsv").write_text(qrels)
    judged = read_judged(write_lines(tmp_path / "q.jsonl", QUERIES), tmp_path / "qrels.tsv")
    assert judged == Judged({"q1": "w1", "q2": "w2"}, {"q1": {"0": 2}, "q2": {"1": 1}})


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("q1\t0\thigh\nq2\t1\tlow\n", "line 2: grade 'low' is not a whole number"),
        ("q1\t0\n", "line 1: 2 columns; needed are query, document, grade"),
        ("q9\t0\t1\n", "no query of .* has a judgement in"),
    ],
)
def test_broken_judgements_are_named(tmp_path, qrels, message):
    (tmp_path / "qrels.tsv").write_text(qrels)
    with pytest.raises(DataError, match=message):
        read_judged(write_lines(tmp_path / "q.jsonl", QUERIES), tmp_path / "qrels.tsv")


def test_broken_queries_are_named(tmp_path):
    (tmp_path / "qrels.tsv").write_text("q1\t0\t1\n")
    for content, message in (('{"_id": "q"}', "line 1: a query needs '_id' and 'text'"), ("{", "line 1: bad JSON")):
        (tmp_path / "q.jsonl").write_text(content)
        with pytest.raises(DataError, match=message):
            read_judged(tmp_path / "q.jsonl", tmp_path / "qrels.tsv")
    with pytest.raises(DataError, match="cannot read"):
        read_judged(write_lines(tmp_path / "q.jsonl", QUERIES), tmp_path / "none.tsv")


def test_metrics_are_those_worked_out_by_hand(tmp_path):
    # "w1" finds 0 first, then 1 (which shares w1), then 2.
    with make_index(tmp_path, ["w1", "w1 w1 w2", "w5"], make_encoder(), dims=8) as index:
        judged = Judged({"q": "w1"}, {"q": {"1": 2, "2": 1}})
        (exact, *_) = evaluate_index(index, judged, [32])
    assert exact.search == "single"
    assert exact.dims == 32
    dcg = 2 / math.log2(3) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert exact.metrics["ndcg@10"] == pytest.approx(dcg / ideal)
    assert exact.metrics["map@10"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert exact.metrics["mrr"] == pytest.approx(1 / 2)
    assert exact.metrics["recall@10"] == exact.metrics["recall@100"] == 1
    assert exact.multiply_adds == 3 * 32


def test_every_size_is_measured_alone_and_as_a_shortlist(index):
    judged = Judged({"q": "w1 w2"}, {"q": {"1": 1}})
    scores = evaluate_index(index, judged, [8, 32], candidates=150)
    assert [(score.search, score.structure, score.dims, score.candidates) for score in scores] == [
        ("single", "scan", 8, None),
        ("single", "scan", 32, None),
        ("shortlist", "scan", 8, 150),
        ("shortlist", index.manifest.shortlist.kind, 16, 150),
    ]
    assert all(score.seconds_per_query > 0 for score in scores)
    assert scores[2].multiply_adds == 1000 * 8 + 150 * 32
    assert scores[3].to_json()["metrics"].keys() == {"ndcg@10", "map@10", "recall@10", "recall@100", "mrr"}


def test_cranfield_scores_are_the_known_ones(data, tmp_path):
    folder = data / "cranfield"
    build_index(
        Corpus([folder]), load_encoder("wordllama"), tmp_path / "index", BuildOptions(dims=64, shortlist="flat")
    )
    with Index.open(tmp_path / "index") as index:
        judged = read_judged(folder / "queries.jsonl", folder / "qrels" / "test.tsv")
        scores = evaluate_index(index, judged, [32, 64, 128, 256])
    single = {score.dims: score.metrics["ndcg@10"] for score in scores if score.search == "single"}
    assert single == pytest.approx({32: 0.142, 64: 0.227, 128: 0.279, 256: 0.308}, abs=0.005)
    (adaptive,) = (score for score in scores if score.search == "shortlist" and score.dims == 64)
    assert adaptive.metrics["ndcg@10"] == pytest.approx(single[256], abs=0.005)


def test_vectors_words_and_both_are_measured_side_by_side(tmp_path):
    texts = make_texts(50)
    with make_index(tmp_path, texts, make_encoder(), lexical=LexicalOptions(), calibration=None) as index:
        judged = Judged({"q": texts[1]}, {"q": {"1": 1}})
        scores = evaluate_index(index, judged, [index.dimension], hybrid=HYBRID_VARIANTS)
    assert [score.search for score in scores] == ["single", "shortlist", "lexical", "rrf", "weighted"]
    assert all(score.metrics["ndcg@10"] == 1 for score in scores[2:])
    assert all(score.seconds_per_query > 0 for score in scores)
