import pytest
from pydantic import TypeAdapter, ValidationError

from indexer import HybridOptions
from service.schemas.hybrid import Hybrid, HybridSwitch

SWITCH = TypeAdapter(HybridSwitch)


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (True, HybridOptions()),
        ({}, HybridOptions()),
        (Hybrid(weight=0.25), HybridOptions(weight=0.25)),
        (
            {"fusion": "weighted", "weight": 0, "candidates": 30},
            HybridOptions(fusion="weighted", weight=0, candidates=30),
        ),
    ],
)
def test_true_or_an_object_switches_it_on(value, options):
    assert SWITCH.validate_python(value).options == options


@pytest.mark.parametrize("value", [False, None])
def test_false_or_nothing_switches_it_off(value):
    assert SWITCH.validate_python(value) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yes", "give true, false or an object"),
        (1, "give true, false or an object"),
        ({"weight": 2}, "less than or equal to 1"),
        ({"weight": "1"}, "valid number"),
        ({"candidates": 0}, "greater than or equal to 1"),
        ({"fusion": "sum"}, "'rrf' or 'weighted'"),
        ({"other": 1}, "Extra inputs"),
    ],
)
def test_what_is_not_an_option_is_refused(value, message):
    with pytest.raises(ValidationError, match=message):
        SWITCH.validate_python(value)
