import pytest

from indexer.calibration import CalibrationOptions
from models import InvalidOptionError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": ()}, "k none: give numbers of at least 1"),
        ({"k": (0, 10)}, "k 0, 10: give numbers of at least 1"),
        ({"seconds": 0}, "seconds 0: give more than 0"),
        ({"confidence": 1}, "confidence 1: give at least 0.5 and less than 1"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        CalibrationOptions(**changes)


def test_the_time_grows_with_the_index_up_to_a_minute():
    times = [CalibrationOptions().time_for(rows, 256) for rows in (1000, 40_000, 1_000_000, 100_000_000)]
    assert times == sorted(times)
    assert times[0] < 1
    assert times[1] < 6
    assert times[-1] == 60
    assert CalibrationOptions(seconds=3).time_for(10**9, 256) == 3
