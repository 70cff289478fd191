import json

import numpy as np
import pytest

from models import load_encoder, truncate
from models.adapter.adapter import Adapter
from models.classifier.classifier import CLASSIFIER_NAME
from tests.conftest import make_texts, write_lines
from tests.models.adapter.vectors import make_vectors

QUICK = ("--sizes", "4,8", "--steps", "5")


@pytest.fixture
def vectors(tmp_path):
    np.save(tmp_path / "vectors.npy", make_vectors(900, 0))
    np.save(tmp_path / "queries.npy", make_vectors(300, 1))
    return tmp_path / "vectors.npy"


@pytest.fixture
def corpus(tmp_path):
    rows = [{"_id": str(i), "title": f"w{i % 50}", "text": text} for i, text in enumerate(make_texts(900))]
    return write_lines(tmp_path / "corpus.jsonl", [{"no": "id"}, *rows])


@pytest.fixture
def pairs(tmp_path):
    rows = [{"query": q, "document": d} for q, d in zip(make_texts(600, 3), make_texts(600, 4), strict=True)]
    return write_lines(tmp_path / "pairs.jsonl", rows)


@pytest.mark.parametrize("with_queries", [False, True])
def test_vectors_give_an_adapter(mrl, vectors, tmp_path, with_queries):
    more = ("--queries", tmp_path / "queries.npy") if with_queries else ()
    status, out, err = mrl("adapt", vectors, "--out", tmp_path / "adapter", *QUICK, *more)
    assert status == 0, err
    assert "truncation" in out
    assert "finished after 5 steps" in err
    adapter = Adapter.load(tmp_path / "adapter")
    rows = truncate(np.load(vectors), 24)
    mapped = adapter.apply(rows)
    np.testing.assert_allclose(mapped @ mapped.T, rows @ rows.T, atol=1e-5)
    record = json.loads((tmp_path / "adapter" / "adapter.json").read_text())
    assert record["queries"] == (240 if with_queries else 180)
    assert mrl("adapt", vectors, "--out", tmp_path / "adapter", *QUICK)[0] == 1


def test_a_sample_of_the_rows_is_learned_from(mrl, vectors, tmp_path):
    assert mrl("adapt", vectors, "--out", tmp_path / "adapter", *QUICK, "--rows", "500")[0] == 0
    record = json.loads((tmp_path / "adapter" / "adapter.json").read_text())
    assert record["documents"] + record["queries"] == 400


@pytest.mark.parametrize("given", ["data", "pairs", "both"])
def test_a_model_gives_a_model_that_indexes_and_searches(mrl, model_directory, corpus, pairs, tmp_path, given):
    data, asked = ("--data", corpus), ("--pairs", pairs)
    texts = {"data": data, "pairs": asked, "both": (*data, *asked)}[given]
    status, out, err = mrl("adapt", model_directory, *texts, "--out", tmp_path / "model", *QUICK, "--rows", "700")
    assert status == 0, err
    assert load_encoder(str(tmp_path / "model")).nesting.sizes == (4, 8, 32)
    if given == "both":
        index = tmp_path / "index"
        built = mrl(
            "index", "build", corpus, "--model", tmp_path / "model", "--out", index, "--dims", "8", "--no-calibrate",
            "--on-error", "skip",
        )  # fmt: skip
        assert built[0] == 0, built[2]
        query = make_texts(900)[17]
        status, out, err = mrl("search", index, f"w17 {query}", "--json")
        assert status == 0, err
        assert json.loads(out)["results"][0]["id"] == "17"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("VECTORS", "--data", "x.jsonl"), "--data and --pairs are for a model"),
        (("wordllama", "--queries", "q.npy"), "--queries is for a file of vectors"),
        (("wordllama",), "a model needs texts to learn from: give --data FILE, --pairs FILE or both"),
        (("VECTORS", "--rows", "0"), "rows 0: give at least 1"),
        (("VECTORS", "--rows", "100"), "100 distinct documents are too few"),
        (("VECTORS", "--sizes", "32"), "sizes [32]: give sizes below the 24 dimensions"),
        (("missing.npy",), "cannot read vectors from missing.npy"),
        (("FLAT",), "holds float64 of shape (5,)"),
        (("WHOLE",), "holds int64 of shape (5, 2)"),
    ],
)
def test_what_cannot_be_used_is_refused(mrl, vectors, tmp_path, arguments, message):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "whole.npy", np.zeros((5, 2), int))
    files = {"VECTORS": vectors, "FLAT": tmp_path / "flat.npy", "WHOLE": tmp_path / "whole.npy"}
    status, _, err = mrl("adapt", *(files.get(argument, argument) for argument in arguments), "--out", tmp_path / "out")
    assert status == 1
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_classifier_is_refused(mrl, corpus, tmp_path):
    classifier = tmp_path / "classifier"
    classifier.mkdir()
    (classifier / CLASSIFIER_NAME).write_text("{}")
    status, _, err = mrl("adapt", classifier, "--data", corpus, "--out", tmp_path / "model", *QUICK)
    assert status == 1
    assert "is a classifier, whose heads do not fit rotated vectors: adapt its base model" in " ".join(err.split())
