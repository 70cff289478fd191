import pytest

from service.client.lists import check_list


@pytest.mark.parametrize("values", ["moon", b"png", {"_id": "1"}])
def test_a_single_value_is_refused_by_what_it_is_for(values):
    with pytest.raises(ValueError, match=f"rows given as a single {type(values).__name__}: pass a list, even for one"):
        check_list(values, "rows")


def test_lists_iterators_and_none_are_accepted():
    for values in (["moon"], iter(["moon"]), None):
        check_list(values, "rows")
