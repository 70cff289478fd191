from pathlib import Path

import pytest

from models import InvalidOptionError
from models.data.lists import check_list


@pytest.mark.parametrize(
    ("value", "shown"), [("moon", "'moon'"), (b"\x89PNG", "4 bytes"), (Path("a.png"), r"PosixPath\('a.png'\)")]
)
def test_a_single_value_is_refused_by_name(value, shown):
    with pytest.raises(
        InvalidOptionError, match=rf"queries given as a single value \({shown}\): pass a list"
    ) as caught:
        check_list(value, "queries", "query")
    assert caught.value.param == "query"


def test_a_long_value_is_shortened():
    with pytest.raises(InvalidOptionError) as caught:
        check_list("x" * 10_000, "queries", "query")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("values", [[], ["moon"], ("a", "b"), (text for text in "ab")])
def test_lists_pass(values):
    check_list(values, "queries", "query")
