import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import InvalidOptionError, Nesting, Prompts, TrainingError, load_encoder, truncate
from models.training.trainable import as_encoder, as_trainable, widened
from tests.conftest import DIMENSION, make_encoder, make_texts


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


def test_a_static_table_is_copied_and_comes_back_as_the_same_encoder():
    base = make_encoder(prompts=Prompts("query: ", "document: "))
    module = as_trainable(base, "cpu")
    assert module.prompts["query"] == "query: "
    back = as_encoder("tiny", module, base.nesting, base.prompts)
    assert back.content_hash == base.content_hash
    with torch.no_grad():
        module[0].embedding.weight += 1
    assert as_encoder("tiny", module, base.nesting, base.prompts).content_hash != base.content_hash
    assert make_encoder(prompts=base.prompts).content_hash == base.content_hash, "the encoder's own table is unchanged"


def test_a_transformer_trains_in_place(transformer_directory):
    encoder = load_encoder(str(transformer_directory), device="cpu")
    module = as_trainable(encoder, "cpu")
    assert module is encoder.model
    back = as_encoder(encoder.name, module, encoder.nesting, encoder.prompts)
    np.testing.assert_allclose(back.encode_queries(["w1 w2"]), encoder.encode_queries(["w1 w2"]), atol=1e-6)


def test_other_encoders_cannot_be_trained():
    message = "a base of type object cannot be trained: give a static table or a sentence-transformers model"
    with pytest.raises(TrainingError, match=message):
        as_trainable(object(), "cpu")
