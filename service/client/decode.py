"""Decode JSON into dataclasses by their type hints.

Unknown fields are ignored, so that a newer service can add some. A missing field without a default, or a value of
another type, is an :class:`UnexpectedAnswerError` that names the place, such as ``results[3].score``.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from service.client.errors import UnexpectedAnswerError

_T = TypeVar("_T")
_Decoder = Callable[[Any], Any]

_NAMES: Final[dict[type, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    dict: "an object",
}


def decode(shape: type[_T], content: bytes) -> _T:
    """Decode a JSON document into a dataclass.

    Supported types of fields: dataclasses, ``str``, ``bool``, ``int``, ``float``, ``datetime`` (ISO 8601), ``Any``,
    ``dict[str, Any]``, ``tuple[X, ...]``, ``Literal`` and unions of them.

    Raises:
        UnexpectedAnswerError: ``content`` is not JSON, lacks a field, or has a value of another type.
    """
    hint: Any = shape
    try:
        value: _T = _decoder(hint)(json.loads(content))
    except _MismatchError as error:
        raise UnexpectedAnswerError(
            f"unexpected answer of the service: {error}; does the URL lead to a service of this version?"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswerError(f"the answer of the service is not JSON: {error}") from error
    return value


class _MismatchError(Exception):
    """A value does not have the type that a hint asks for; ``path`` grows on the way out of nested values."""

    def __init__(self, problem: str, path: str = "") -> None:
        self.problem, self.path = problem, path

    def inside(self, place: str) -> _MismatchError:
        joint = "." if self.path and not self.path.startswith("[") else ""
        return _MismatchError(self.problem, f"{place}{joint}{self.path}")

    def __str__(self) -> str:
        return f"{self.path or 'it'} {self.problem}"


@cache
def _decoder(hint: Any) -> _Decoder:
    """Return the decoder of a type hint; it is put together once and then called for each value."""
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _tuple(_decoder(arguments[0]))
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return _checked(lambda value: value in arguments, " or ".join(map(repr, arguments)))
    if hint is Any:
        return lambda value: value
    if hint is datetime:
        return _datetime
    if hint is float:
        return _checked(lambda value: isinstance(value, int | float) and not isinstance(value, bool), _NAMES[float])
    if hint is int:
        return _checked(lambda value: isinstance(value, int) and not isinstance(value, bool), _NAMES[int])
    kind: type = origin or hint
    return _checked(lambda value: isinstance(value, kind), _NAMES[kind])


def _dataclass(shape: Any) -> _Decoder:
    hints = get_type_hints(shape)
    fields = [(field.name, _decoder(hints[field.name]), _is_required(field)) for field in dataclasses.fields(shape)]

    def decode_object(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _mismatch(value, "an object")
        found = {}
        for name, decode_field, required in fields:
            if name in value:
                try:
                    found[name] = decode_field(value[name])
                except _MismatchError as error:
                    raise error.inside(name) from None
            elif required:
                raise _MismatchError("is missing", name)
        return shape(**found)

    return decode_object


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _tuple(decode_item: _Decoder) -> _Decoder:
    def decode_array(value: Any) -> Any:
        if not isinstance(value, list):
            raise _mismatch(value, "an array")
        items = []
        for place, item in enumerate(value):
            try:
                items.append(decode_item(item))
            except _MismatchError as error:
                raise error.inside(f"[{place}]") from None
        return tuple(items)

    return decode_array


def _union(members: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(member) for member in members if member is not type(None)]
    nullable = type(None) in members

    def decode_any(value: Any) -> Any:
        if value is None and nullable:
            return None
        problems = []
        for decode_member in decoders:
            try:
                return decode_member(value)
            except _MismatchError as error:
                problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        raise _MismatchError("; ".join(error.problem for error in problems))

    return decode_any


def _datetime(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _mismatch(value, "a date and time in ISO 8601") from None


def _checked(fits: Callable[[Any], bool], wanted: str) -> _Decoder:
    def decode_plain(value: Any) -> Any:
        if not fits(value):
            raise _mismatch(value, wanted)
        return value

    return decode_plain


def _mismatch(value: Any, wanted: str) -> _MismatchError:
    return _MismatchError(f"is {value!r:.80}, expected {wanted}")
