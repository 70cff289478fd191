import numpy as np
import pytest

from models.training.batches import ShuffledBatches


def test_an_epoch_visits_every_row_at_most_once_in_whole_batches():
    batches = ShuffledBatches(10, 3, seed=0)
    assert (batches.size, batches.per_epoch) == (3, 3)
    rows = np.concatenate([batches[step] for step in range(3)])
    assert len(set(rows.tolist())) == 9
    assert not np.array_equal(rows, np.concatenate([batches[step] for step in range(3, 6)])), "a new order per epoch"


@pytest.mark.parametrize("first", [0, 5, 2])
def test_a_batch_depends_on_the_step_alone(first):
    expected, resumed = ShuffledBatches(10, 3, seed=1), ShuffledBatches(10, 3, seed=1)
    whole = [expected[step] for step in range(8)]
    for step in range(first, 8):
        np.testing.assert_array_equal(resumed[step], whole[step])


def test_the_seed_and_the_number_of_the_first_epoch_decide_the_order():
    batches = ShuffledBatches(50, 50, seed=0)
    assert not np.array_equal(batches[0], ShuffledBatches(50, 50, seed=1)[0])
    np.testing.assert_array_equal(batches[1], ShuffledBatches(50, 50, seed=0, first_epoch=1)[0])


def test_few_rows_are_one_batch():
    batches = ShuffledBatches(3, 64, seed=0)
    assert (batches.size, batches.per_epoch) == (3, 1)
    assert sorted(batches[7]) == [0, 1, 2]
