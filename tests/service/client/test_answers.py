"""The answers' classes against the interface that docs/openapi.json describes."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from service.client import answers

OPENAPI = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", type(None): "null"}


def schema_of(path, method, status):
    content = OPENAPI["paths"][path][method]["responses"][status]["content"]
    return content["application/json"]["schema"]


def resolve(schema):
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    return OPENAPI["components"]["schemas"][name] if name else schema


def alternatives(schema):
    schema = resolve(schema)
    return [resolve(part) for part in schema.get("anyOf", [schema])]


def members(hint):
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def differences(hint, schema, place):
    """Say where a type hint does not take what a schema allows."""
    return [
        problem
        for part in alternatives(schema)
        for problem in min((list(mismatches(member, part, place)) for member in members(hint)), key=len)
    ]


def mismatches(hint, schema, place):
    origin, kind = get_origin(hint), schema.get("type")
    if hint is Any:
        return
    if dataclasses.is_dataclass(hint):
        if "properties" not in schema:
            yield f"{place}: {hint.__name__}, the service sends {schema}"
            return
        hints = get_type_hints(hint)
        defaults = {field.name: field for field in dataclasses.fields(hint)}
        for name, part in schema["properties"].items():
            if name not in hints:
                yield f"{place}.{name} is unknown to {hint.__name__}"
            else:
                yield from differences(hints[name], part, f"{place}.{name}")
        for name, field in defaults.items():
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and name not in schema["properties"]:
                yield f"{place}.{name} is required by {hint.__name__}, the service does not send it"
    elif origin is tuple:
        if kind != "array":
            yield f"{place}: an array, the service sends {schema}"
        else:
            yield from differences(get_args(hint)[0], schema["items"], f"{place}[]")
    elif origin is Literal:
        if not {*schema.get("enum", []), schema.get("const")} & set(get_args(hint)):
            yield f"{place}: {hint}, the service sends {schema}"
    elif hint is datetime:
        if kind != "string":
            yield f"{place}: a date and time, the service sends {schema}"
    else:
        plain = origin or hint
        if kind != PLAIN[plain] and not (plain is float and kind == "integer") and not (plain is dict and kind is None):
            yield f"{place}: {plain.__name__}, the service sends {schema}"


@pytest.mark.parametrize(
    ("shape", "path", "method", "status"),
    [
        (answers.SearchAnswer, "/v1/search", "post", "200"),
        (answers.BatchAnswer, "/v1/search", "post", "200"),
        (answers.Classification, "/v1/classify", "post", "200"),
        (answers.Document, "/v1/documents/{id}", "get", "200"),
        (answers.Upserted, "/v1/documents/{id}", "put", "201"),
        (answers.BulkAnswer, "/v1/documents", "post", "200"),
        (answers.Deleted, "/v1/documents/delete", "post", "200"),
        (answers.IndexFacts, "/v1/index", "get", "200"),
        (answers.Reloaded, "/v1/index/reload", "post", "200"),
        (answers.RolledBack, "/v1/index/rollback", "post", "200"),
        (answers.Compaction, "/v1/index/compact", "post", "202"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_classes_take_what_the_service_sends(shape, path, method, status):
    schema = schema_of(path, method, status)
    if path == "/v1/search":  # one list of hits, or a list of them for each of several queries: two classes here
        schema = json.loads(json.dumps(resolve(schema)))
        several = shape is answers.BatchAnswer
        schema["properties"]["results"] = schema["properties"]["results"]["anyOf"][several]
    assert differences(shape, schema, shape.__name__) == []


def test_a_difference_is_found():
    @dataclasses.dataclass
    class Old:
        id: int
        gone: str

    properties = {"id": {"type": "string"}, "new": {"type": "string"}}
    assert differences(Old, {"type": "object", "properties": properties}, "Old") == [
        "Old.id: int, the service sends {'type': 'string'}",
        "Old.new is unknown to Old",
        "Old.gone is required by Old, the service does not send it",
    ]
