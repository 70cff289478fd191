import pytest

from indexer import LexicalOptions
from models import InvalidOptionError


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"language": "klingon"}, "language", "'klingon': give one of .*english"),
        ({"fields": ("_id",)}, "lexical", "'_id': name a field of the payload"),
        ({"fields": ("a\\",)}, "lexical", "ends in a backslash"),
    ],
)
def test_options_outside_their_bounds_are_named(options, param, message):
    with pytest.raises(InvalidOptionError, match=message) as raised:
        LexicalOptions(**options)
    assert raised.value.param == param


def test_fields_may_be_nested():
    assert LexicalOptions(fields=("meta.keywords",), language="english").fields == ("meta.keywords",)
