"""Input texts of ``/v1/embeddings`` and ``/v1/classify``: one or several, or token ids for embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from models import Encoder, InvalidOptionError, text_of_tokens
from models.data.unicode import check_unicode
from service.settings import Settings

_TEXT = {"type": "string", "minLength": 1}
_TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


def _texts(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("give a text or a list of texts")
    return _none_empty(items)


def _texts_or_tokens(value: Any) -> list[str | list[int]]:
    # A list of integers is the tokens of a single text.
    items = [value] if isinstance(value, str) or _is_tokens(value) else value
    if not isinstance(items, list):
        raise ValueError("give a text, a list of texts, tokens or a list of lists of tokens")
    if not (all(isinstance(item, str) for item in items) or all(map(_is_tokens, items))):
        raise ValueError("give either texts or lists of tokens (integers), not both")
    return _none_empty(items)


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _none_empty(items: list[Any]) -> list[Any]:
    if not items:
        raise ValueError("the list is empty: give at least one text")
    empty = next((number for number, item in enumerate(items) if not item), None)
    if empty is not None:
        raise ValueError(f"text {empty} is empty")
    return items


Texts = Annotated[
    list[str],
    PlainValidator(_texts),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
TextsOrTokens = Annotated[
    list[str | list[int]],
    PlainValidator(_texts_or_tokens),
    WithJsonSchema(
        {
            "anyOf": [
                _TEXT,
                {"type": "array", "items": _TEXT, "minItems": 1},
                _TOKENS,
                {"type": "array", "items": _TOKENS, "minItems": 1},
            ]
        }
    ),
]


def check_inputs(inputs: Sequence[str | list[int]], settings: Settings) -> None:
    """Refuse inputs that would take too long, or are invalid.

    Raises:
        InvalidOptionError: more texts or characters (tokens) than the settings allow, or a text is not valid Unicode.
    """
    if len(inputs) > settings.max_inputs:
        raise InvalidOptionError("input", f"{len(inputs)} texts: this service allows at most {settings.max_inputs}")
    length = sum(map(len, inputs))
    if length > settings.max_input_characters:
        raise InvalidOptionError(
            "input", f"texts of {length} characters: this service allows {settings.max_input_characters} in a request"
        )
    for item in inputs:
        if isinstance(item, str):
            check_unicode(item, "the text", "input")


def as_texts(inputs: Sequence[str | list[int]], encoder: Encoder) -> list[str]:
    """Return inputs as texts, decoding those given as tokens.

    Raises:
        InvalidOptionError: the model has no usable tokenizer, or no such token.
    """
    return [item if isinstance(item, str) else text_of_tokens(encoder, item) for item in inputs]
