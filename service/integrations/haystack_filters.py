"""Translation of Haystack's filters into those of the service."""

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
    """Translate a filter. A filter without Haystack's ``operator`` is taken to be one of the service already.

    Args:
        filters: ``{"field": "meta.year", "operator": ">=", "value": 1990}``, or a list of those as ``conditions`` with
            the operator AND, OR or NOT (in Haystack, NOT means that not all of them hold).

    Raises:
        ValueError: an operator is unknown, or a part is missing.
    """
    if "operator" not in filters or not filters.keys() & {"field", "conditions"}:
        return dict(filters)
    operator = filters["operator"]
    if "field" in filters:
        if operator not in _COMPARISONS or "value" not in filters:
            allowed = ", ".join(_COMPARISONS)
            raise ValueError(f"filter {filters!r:.200}: give a value, and one of the operators {allowed}")
        return {str(filters["field"]).removeprefix("meta."): {_COMPARISONS[operator]: filters["value"]}}
    parts = [translate(part) for part in filters["conditions"]]
    if operator == "NOT":
        return {"$not": {"$and": parts}}
    if operator not in ("AND", "OR"):
        raise ValueError(f"filter operator {operator!r}: conditions allow AND, OR and NOT")
    return {f"${operator.lower()}": parts}
