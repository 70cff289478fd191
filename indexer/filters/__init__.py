"""Filters over the fields of documents.

A filter is a JSON object with the operators of MongoDB, Chroma and Pinecone::

    {"lang": "en"}                                    the field equals the value
    {"year": {"$gte": 1990, "$lt": 2000}}             $eq $ne $gt $gte $lt $lte
    {"lang": {"$in": ["en", "fr"]}}                   $in $nin
    {"doi": {"$exists": true}}                        the document has the field, even if it is null
    {"year": {"$not": {"$lt": 1990}}}                 all documents that the condition does not match
    {"$or": [{"lang": "en"}, {"year": 2001}]}         $and $or, lists of filters; $not, one filter

All keys of an object must match; ``{}`` matches every document. ``_id`` is the document's id. A dot reaches into a
nested object (``meta.source``); a backslash escapes the character after it (``a\\.b`` is a single name, and a name that
starts with ``$`` or is ``_id`` is written with a backslash in front).

Semantics:

- A value is a string, a number, true, false or null, and equals only values of its own type: ``"1"``, ``1`` and
  ``true`` differ, ``1`` and ``1.0`` do not. Integers beyond 64 bits are compared as doubles.
- A list matches if one of its elements does: ``{"tags": "a"}`` matches ``["a", "b"]``. Objects, and lists or objects in
  a list, match no value. Two conditions on a list may be met by different elements.
- null stands for no value: it equals null and a missing field.
- Numbers are ordered among each other, and strings by code point; no other values are ordered.
- ``$ne``, ``$nin`` and ``$not`` match exactly the documents that the negated condition does not match, including those
  without the field.
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
