import pytest

from models import InvalidOptionError
from models.data.unicode import check_unicode, is_unicode, unicode_problem


@pytest.mark.parametrize("text", ["", "plain", "naïve 日本 \N{SNAKE}", "\0"])
def test_valid_text(text):
    assert unicode_problem(text) is None
    assert is_unicode(text)
    check_unicode(text, "the text", "input")


@pytest.mark.parametrize(("text", "place"), [("\ud800", 0), ("ab\udfff", 2)])
def test_a_lone_surrogate_is_named_with_its_place(text, place):
    assert unicode_problem(text) == f"surrogates not allowed at character {place}"
    assert not is_unicode(text)
    with pytest.raises(InvalidOptionError, match=f"^the text is not valid Unicode: surrogates .* {place}$") as raised:
        check_unicode(text, "the text", "input")
    assert raised.value.param == "input"
