import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from service.client import UnexpectedAnswerError, answers
from service.client.decode import decode


@dataclass(frozen=True)
class Leaf:
    name: str
    score: float = 0.5


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    leaves: tuple[Leaf, ...] = ()
    count: int | None = None
    stop: Literal["certified"] | float | None = None
    flag: bool = False
    fields: dict[str, Any] | None = None
    made: datetime | None = None
    anything: Any = None


LEAF = {"name": "a"}


def test_every_kind_of_field_is_decoded():
    value = {
        "leaf": LEAF,
        "leaves": [LEAF, {"name": "b", "score": 1}],
        "count": 3,
        "stop": "certified",
        "flag": True,
        "fields": {"x": [1]},
        "made": "2025-01-31T10:00:00Z",
        "anything": [None],
    }
    made = datetime(2025, 1, 31, 10, tzinfo=UTC)
    expected = Tree(Leaf("a"), (Leaf("a"), Leaf("b", 1)), 3, "certified", True, {"x": [1]}, made, [None])
    assert decode(Tree, json.dumps(value).encode()) == expected


def test_unknown_fields_are_ignored_and_missing_ones_take_their_default():
    assert decode(Tree, b'{"leaf": {"name": "a", "new": 1}, "newer": {}}') == Tree(Leaf("a"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"it is \[\], expected an object"),
        ({}, "leaf is missing"),
        ({"leaf": {}}, "leaf.name is missing"),
        ({"leaf": None}, "leaf is None, expected an object"),
        ({"leaf": {"name": 7}}, "leaf.name is 7, expected a string"),
        ({"leaf": {"name": "a", "score": True}}, "leaf.score is True, expected a number"),
        ({"leaf": LEAF, "leaves": [LEAF, {"score": 1}]}, r"leaves\[1\].name is missing"),
        ({"leaf": LEAF, "leaves": {}}, r"leaves is {}, expected an array"),
        ({"leaf": LEAF, "count": 1.5}, "count is 1.5, expected an integer"),
        ({"leaf": LEAF, "count": True}, "count is True, expected an integer"),
        ({"leaf": LEAF, "flag": None}, "flag is None, expected a boolean"),
        ({"leaf": LEAF, "stop": "soon"}, "stop is 'soon', expected 'certified'; is 'soon', expected a number"),
        ({"leaf": LEAF, "made": "today"}, "made is 'today', expected a date and time in ISO 8601"),
        ({"leaf": LEAF, "made": 7}, "made is 7, expected a date and time"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(value, message):
    with pytest.raises(UnexpectedAnswerError, match=f"unexpected answer of the service: {message}"):
        decode(Tree, json.dumps(value).encode())


@pytest.mark.parametrize("content", [b"<html>", b"", b"\xff\xfe{"])
def test_what_is_not_json_is_an_error(content):
    with pytest.raises(UnexpectedAnswerError, match="not JSON"):
        decode(Tree, content)


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"x":' * 100_000])
def test_an_answer_nested_too_deep_is_unexpected(content):
    with pytest.raises(UnexpectedAnswerError, match="not JSON"):
        decode(answers.SearchAnswer, content)
