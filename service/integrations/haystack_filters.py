"""Haystack's filters in the service's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_COMPARISONS: Final = {
    "==": "$eq",
    "!=": "$ne",
    ">": "$gt",
    ">=": "$gte",
    "<": "$lt",
    "<=": "$lte",
    "in": "$in",
    "not in": "$nin",
}


def translate(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a filter; one without Haystack's ``operator`` is taken to be in the service's form already.

    Args:
        filters: ``{"field": "meta.year", "operator": ">=", "value": 1990}``, or such ones under ``conditions`` with the
            operator AND, OR or NOT (Haystack's NOT: not all of them hold).

    Raises:
        ValueError: an operator that Haystack does not have, or a part that is missing.
    """
    if "operator" not in filters or not filters.keys() & {"field", "conditions"}:
        return dict(filters)
    operator = filters["operator"]
    if "field" in filters:
        if operator not in _COMPARISONS or "value" not in filters:
            allowed = ", ".join(_COMPARISONS)
            raise ValueError(f"filter {filters!r:.200}: give a value and one of the operators {allowed}")
        return {str(filters["field"]).removeprefix("meta."): {_COMPARISONS[operator]: filters["value"]}}
    parts = [translate(part) for part in filters["conditions"]]
    if operator == "NOT":
        return {"$not": {"$and": parts}}
    if operator not in ("AND", "OR"):
        raise ValueError(f"filter operator {operator!r}: allowed between conditions are AND, OR and NOT")
    return {f"${operator.lower()}": parts}
