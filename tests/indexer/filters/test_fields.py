import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.filters import Field, parse_field
from indexer.filters.fields import FALSE, ID, NULL, OTHER, TRUE, scalar
from models import InvalidOptionError
from tests.indexer.filters.samples import NAMES, escaped


@given(st.lists(st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8")), min_size=1))
def test_the_name_of_a_field_is_parsed_as_the_field(names):
    field = parse_field(escaped(*names))
    assert field.names == tuple(names)
    assert parse_field(str(field)) == field
    assert not str(field).startswith("$")


@pytest.mark.parametrize(("name", "message"), [("a\\", "ends in a backslash"), ("a\udfff", "not valid Unicode")])
def test_an_invalid_name_is_refused_for_its_option(name, message):
    with pytest.raises(InvalidOptionError, match=message) as caught:
        parse_field(name, "lexical")
    assert caught.value.param == "lexical"


def test_values_are_those_of_the_field_or_of_the_elements_of_a_list():
    payload = {"a": {"b": [1, "x", None, [2], {"c": 3}]}, "d": True, "e": None}
    assert Field(("a", "b")).scalars("7", payload) == [1, "x", NULL, OTHER, OTHER]
    assert Field(("d",)).scalars("7", payload) == [TRUE]
    assert Field(("e",)).scalars("7", payload) == [NULL]
    assert Field(("a",)).scalars("7", payload) == [OTHER]
    assert Field(("d", "b")).scalars("7", payload) is None
    assert Field(("f",)).scalars("7", payload) is None
    assert ID.scalars("7", payload) == ["7"]
    assert str(ID) == "_id"


def test_integers_beyond_64_bits_are_doubles_and_truth_is_no_number():
    assert scalar(2**63 - 1) == 2**63 - 1
    assert isinstance(scalar(2**63), float)
    assert (scalar(10**400), scalar(-(10**400))) == (float("inf"), float("-inf"))
    assert (scalar(True), scalar(False)) == (TRUE, FALSE)
