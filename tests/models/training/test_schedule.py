import pytest

from models.training.schedule import decay_with_warmup, warmup_then_decay


def test_warmup_takes_a_tenth_and_decay_ends_at_zero():
    rates = [warmup_then_decay(step, 100) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0


@pytest.mark.parametrize("total", [1, 2, 5])
def test_short_runs_start_at_the_peak(total):
    assert warmup_then_decay(0, total) == 1
    assert warmup_then_decay(total, total) == 0


def test_decay_by_share_is_damped_at_first_and_never_negative():
    assert decay_with_warmup(0.0, 100) == pytest.approx(0.01)
    assert decay_with_warmup(0.05, 100) == pytest.approx(0.51 * 0.95)
    assert decay_with_warmup(0.5, 100) == 0.5
    assert decay_with_warmup(1.0, 100) == 0
    assert decay_with_warmup(7.0, 100) == 0, "far past the time limit"
