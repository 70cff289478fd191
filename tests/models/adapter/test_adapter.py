import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from scipy.stats import ortho_group

from models import InvalidOptionError, ModelError, Nesting, truncate
from models.adapter.adapter import Adapter


def make_adapter(dimension=16, seed=0):
    matrix = ortho_group.rvs(dimension, random_state=seed).astype(np.float32)
    return Adapter(matrix, Nesting((dimension // 2, dimension)))


@given(seed=st.integers(0, 1000), dimension=st.sampled_from([4, 64, 384]))
def test_whole_scores_stay_and_prefix_scores_change(seed, dimension):
    adapter = make_adapter(dimension, seed)
    vectors = truncate(np.random.default_rng(seed).normal(size=(20, dimension)), dimension)
    mapped = adapter.apply(vectors)
    np.testing.assert_allclose(mapped @ mapped.T, vectors @ vectors.T, atol=1e-5)
    half = dimension // 2
    assert np.abs(mapped[:, :half] @ mapped[:, :half].T - vectors[:, :half] @ vectors[:, :half].T).max() > 1e-3


def test_a_vector_is_mapped_by_the_rows_of_the_matrix():
    adapter = make_adapter()
    vector = np.arange(16, dtype=np.float16)
    expected = [sum(w * x for w, x in zip(row, vector.tolist(), strict=True)) for row in adapter.matrix.tolist()]
    np.testing.assert_allclose(adapter.apply(vector), expected, rtol=1e-4)
    assert adapter.apply(vector).dtype == np.float32
    assert adapter.apply(np.zeros((0, 16))).shape == (0, 16)


def test_it_comes_back_from_its_directory(tmp_path):
    adapter = make_adapter()
    adapter.save(tmp_path / "a", seed=3)
    loaded = Adapter.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.matrix, adapter.matrix)
    assert loaded.nesting == adapter.nesting
    assert json.loads((tmp_path / "a" / "adapter.json").read_text())["seed"] == 3


def test_vectors_of_another_dimension_are_refused():
    with pytest.raises(InvalidOptionError, match="vectors of 8 dimensions: the adapter maps vectors of 16"):
        make_adapter().apply(np.zeros((2, 8)))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(16, 8), "matrix has shape 16 x 8: sizes .* need 16 x 16"),
        (np.eye(16) * 1.1, "not orthogonal: off by 0.21"),
        (np.full((16, 16), np.nan), "not orthogonal: off by nan"),
    ],
)
def test_a_matrix_that_would_change_scores_is_refused(matrix, message):
    with pytest.raises(ModelError, match=message):
        Adapter(matrix.astype(np.float32), Nesting((8, 16)))


@pytest.mark.parametrize("broken", ["adapter.json", "adapter.safetensors", "missing", "key"])
def test_broken_files_are_refused(tmp_path, broken):
    make_adapter().save(tmp_path)
    if broken == "missing":
        (tmp_path / "adapter.safetensors").unlink()
    elif broken == "key":
        save_file({"other": np.eye(16, dtype=np.float32)}, tmp_path / "adapter.safetensors")
    else:
        (tmp_path / broken).write_bytes(b"{}")
    with pytest.raises(ModelError, match="cannot read the adapter"):
        Adapter.load(tmp_path)
