import pytest

from models import InvalidOptionError
from service.schemas.include import Included
from tests.service.applications import refused


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], {"a": {"b": {"c": 1, "d": 2}, "e": None}}),
        (["a.b.c"], {"a": {"b": {"c": 1}}}),
        (["a.b.c", "a.e"], {"a": {"b": {"c": 1}, "e": None}}),
        (["a.b", "a.b.c"], {"a": {"b": {"c": 1, "d": 2}}}),
        (["a.b.c", "a.b"], {"a": {"b": {"c": 1, "d": 2}}}),
        (["a.x", "a.b.x", "list.0"], {}),
        (["a\\.b"], {"a.b": 3}),
        (["list", "_id"], {"list": [{"c": 1}]}),
        (["\\_id"], {"_id": 4}),
        ([], {}),
    ],
)
def test_dots_address_fields_of_objects_as_in_filters(names, expected):
    payload = {"a": {"b": {"c": 1, "d": 2}, "e": None}, "a.b": 3, "list": [{"c": 1}], "_id": 4}
    assert Included.parse(names).of(payload) == expected


def test_invalid_names_are_refused(client):
    assert refused(client, query="w1", include=["a\\"])["param"] == "include"
    assert refused(client, query="w1", include="title")["param"] == "include"
    assert refused(client, query="w1", include=["n"] * 257)["param"] == "include"
    with pytest.raises(InvalidOptionError, match="backslash"):
        Included.parse(["a\\"])
