"""Filters over the fields of documents.

A filter is a JSON object in the manner of MongoDB, Chroma and Pinecone::

    {"lang": "en"}                                    the field equals the value
    {"year": {"$gte": 1990, "$lt": 2000}}             $eq $ne $gt $gte $lt $lte
    {"lang": {"$in": ["en", "fr"]}}                   $in $nin
    {"doi": {"$exists": true}}                        the document has the field, be it null
    {"year": {"$not": {"$lt": 1990}}}                 the rest of what a condition finds
    {"$or": [{"lang": "en"}, {"year": 2001}]}         $and $or, lists of filters; $not, one filter

Several keys of one object must all hold; ``{}`` holds for every document. ``_id`` is the document's id. A dot reaches
into a nested object (``meta.source``); a backslash takes the character after it as it is (``a\\.b`` is one name, and a
name that starts with ``$`` or is ``_id`` is written with a backslash in front).

What holds:

- A value is a string, a number, true, false or null, and equals only its own kind: ``"1"``, ``1`` and ``true`` differ,
  ``1`` and ``1.0`` do not. Whole numbers beyond 64 bits are compared as doubles.
- A list has a value where one of its elements is that value: ``{"tags": "a"}`` finds ``["a", "b"]``. Elements that are
  lists or objects have none, and neither has an object. Two conditions on a list may be met by different elements.
- null stands for no value: it equals null and a missing field.
- Order is between numbers, or between strings by code point; nothing else is greater or less than anything.
- ``$ne``, ``$nin`` and ``$not`` find exactly the documents that the condition they deny does not find, those without
  the field among them.
"""

from indexer.filters.fields import Field, parse_field
from indexer.filters.index import FieldIndex, filterable_fields, write_field_index
from indexer.filters.matching import matching_rows
from indexer.filters.parse import parse_filter
from indexer.filters.tree import And, Comparison, Exists, Filter, Membership, Not, Or

__all__ = [
    "And",
    "Comparison",
    "Exists",
    "Field",
    "FieldIndex",
    "Filter",
    "Membership",
    "Not",
    "Or",
    "filterable_fields",
    "matching_rows",
    "parse_field",
    "parse_filter",
    "write_field_index",
]
