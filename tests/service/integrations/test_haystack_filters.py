import pytest

from service.integrations.haystack_filters import translate


def test_filters_are_translated():
    year = {"field": "meta.year", "operator": ">=", "value": 1990}
    lang = {"field": "lang", "operator": "not in", "value": ["de"]}
    assert translate(year) == {"year": {"$gte": 1990}}
    assert translate({"operator": "AND", "conditions": [year, lang]}) == {
        "$and": [{"year": {"$gte": 1990}}, {"lang": {"$nin": ["de"]}}]
    }
    assert translate({"operator": "NOT", "conditions": [year]}) == {"$not": {"$and": [{"year": {"$gte": 1990}}]}}
    ours = {"operator": "someone", "$not": {"year": 1990}}
    assert translate(ours) == ours
    for wrong in (
        {"field": "n", "operator": "like", "value": 1},
        {"field": "n", "operator": "=="},
        {"operator": "XOR", "conditions": [year]},
    ):
        with pytest.raises(ValueError, match="operator"):
            translate(wrong)
