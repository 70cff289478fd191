import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from models import InvalidOptionError, Nesting, TrainingError, load_encoder, truncate
from models.training.contrastive import train
from models.training.options import TrainingOptions
from models.training.trainable import widened
from tests.conftest import DIMENSION, make_encoder, make_texts
from tests.models.training.test_contrastive import interrupt_at, make_pairs, options, weights


@given(width=st.integers(DIMENSION + 1, 4 * DIMENSION), seed=st.integers(0, 5))
def test_a_widened_table_begins_with_the_table_it_was(width, seed):
    base = make_encoder()
    wide = widened(base, width, seed)
    assert wide.table.shape == (len(base.table), width)
    assert wide.table.dtype == np.float32
    np.testing.assert_array_equal(wide.table[:, :DIMENSION], base.table)
    assert wide.nesting == Nesting.halving(width)
    texts = make_texts(5)
    cut = truncate(wide.encode_documents(texts), DIMENSION)
    np.testing.assert_allclose(cut, base.encode_documents(texts), atol=1e-5)


def test_new_columns_are_small_and_no_two_are_alike(encoder):
    new = widened(encoder, 4 * DIMENSION, seed=0).table[:, DIMENSION:]
    assert new.std() == pytest.approx(0.1 * encoder.table.std(), rel=0.05)
    assert np.abs(np.corrcoef(new.T) - np.eye(3 * DIMENSION)).max() < 0.3


def test_the_seed_decides_the_new_columns(encoder):
    tables = [widened(encoder, 64, seed).table for seed in (0, 0, 1)]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


@pytest.mark.parametrize("width", [0, 31, 32])
def test_a_width_that_adds_nothing_is_refused(encoder, width):
    with pytest.raises(InvalidOptionError, match=f"width {width}: 'tiny' already has 32 dimensions, give more"):
        widened(encoder, width, seed=0)


def test_a_transformer_cannot_be_widened(transformer_directory):
    with pytest.raises(
        InvalidOptionError, match=r"width 64: only a static table can be widened, and .* is none; omit the width"
    ):
        widened(load_encoder(str(transformer_directory)), 64, seed=0)


def test_sizes_that_do_not_end_at_the_width_are_refused():
    with pytest.raises(InvalidOptionError, match=r"width 64: the last of the nested sizes \[8, 32\] must be the width"):
        TrainingOptions(nesting=Nesting((8, 32)), width=64)


def test_a_model_trains_wider_than_its_base(tmp_path, model_directory):
    result = train(
        make_pairs(800),
        str(model_directory),
        tmp_path / "wide",
        options(nesting=None, width=64, epochs=8, learning_rate=0.2),
    )
    assert set(result.after) == {8, 16, 32, 64}
    for size, score in result.after.items():
        assert score > result.before[size] + 0.2, f"size {size}"
    encoder = load_encoder(str(result.directory))
    assert (encoder.dimension, encoder.nesting) == (64, Nesting.halving(64))
    theirs = SentenceTransformer(str(result.directory), device="cpu").encode(["w1 w2"])
    np.testing.assert_allclose(encoder.encode_documents(["w1 w2"]), truncate(theirs, 64), atol=1e-5)
    record = json.loads((result.directory / "mrl.json").read_text())
    assert record["options"]["width"] == 64
    assert record["base_hash"] == load_encoder(str(model_directory)).content_hash


def test_an_interrupted_wide_run_goes_on_and_only_at_its_width(tmp_path, model_directory):
    pairs, base, wide = make_pairs(), str(model_directory), {"nesting": None, "width": 48}
    train(pairs, base, tmp_path / "whole", options(**wide))
    train(pairs, base, tmp_path / "stopped", options(**wide), report=interrupt_at(7))
    with pytest.raises(TrainingError, match=r"another run: it had .*'width': 48.*, this run has .*'width': 64"):
        train(pairs, base, tmp_path / "stopped", options(nesting=None, width=64))
    train(pairs, base, tmp_path / "stopped", options(**wide))
    np.testing.assert_array_equal(weights(tmp_path / "stopped"), weights(tmp_path / "whole"))
