import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models import InvalidOptionError
from service import Settings
from service.schemas.inputs import Texts, TextsOrTokens, as_texts, check_inputs
from tests.conftest import make_encoder

TEXTS, TOKENS = TypeAdapter(Texts), TypeAdapter(TextsOrTokens)
BOTH = pytest.mark.parametrize("kind", [TEXTS, TOKENS], ids=["texts", "texts or tokens"])


@BOTH
@given(st.text(min_size=1) | st.lists(st.text(min_size=1), min_size=1))
def test_texts_are_a_list_even_of_one(kind, value):
    assert kind.validate_python(value) == ([value] if isinstance(value, str) else value)


@pytest.mark.parametrize(("value", "items"), [([3, 4], [[3, 4]]), ([[3], [4, 5]], [[3], [4, 5]])])
def test_tokens_are_those_of_one_text_or_of_several(value, items):
    assert TOKENS.validate_python(value) == items
    with pytest.raises(ValidationError, match="give a text or a list of texts"):
        TEXTS.validate_python(value)


@BOTH
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "give a text"),
        ({"text": "a"}, "give a text"),
        ([], "give at least one text"),
        ("", "text 0 is empty"),
        (["a", ""], "text 1 is empty"),
    ],
)
def test_what_is_neither_is_refused(kind, value, message):
    with pytest.raises(ValidationError, match=message):
        kind.validate_python(value)


@pytest.mark.parametrize("value", [["a", 2], ["a", [2]], [[1], []], [1, True], [1.5]])
def test_texts_and_tokens_are_not_mixed(value):
    with pytest.raises(ValidationError, match="give either texts or lists of tokens"):
        TOKENS.validate_python(value)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a"] * 4, "4 texts: this service allows at most 3"),
        (["a" * 11], "texts of 11 characters: this service allows 10"),
        ([[1] * 6, [2] * 5], "texts of 11 characters"),
        (["a\ud800"], "the text is not valid Unicode"),
    ],
)
def test_inputs_are_limited(inputs, message):
    settings = Settings(index="x", max_inputs=3, max_input_characters=10)
    check_inputs(["abc", [1, 2], "d"], settings)
    with pytest.raises(InvalidOptionError, match=message) as refused:
        check_inputs(inputs, settings)
    assert refused.value.param == "input"


def test_tokens_are_decoded_to_their_texts():
    assert as_texts(["w9", [1, 2]], make_encoder()) == ["w9", "w1 w2"]
