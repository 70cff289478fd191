import pytest

from models import InvalidOptionError
from service import Settings
from service.engine.parsed_search import ParsedSearch
from service.schemas.search import SearchRequest
from tests.conftest import DIMENSION
from tests.service.applications import refused, search


@pytest.fixture(scope="module")
def settings(built):
    return Settings(index=built, auth="off")


def test_a_request_with_explain_is_searched_alone(settings):
    def group(**body):
        return ParsedSearch.parse(SearchRequest.model_validate(body), settings).group

    assert group(query="w1") == group(queries=["w2", "w3"])
    assert group(query="w1") != group(vector=[1.0] * DIMENSION)
    assert group(query="w1") != group(query="w1", k=3)
    assert group(query="w1", explain=True) is None


def test_limits_are_checked_before_anything_runs(settings):
    with pytest.raises(InvalidOptionError, match="k 5000: this service allows at most 1000"):
        ParsedSearch.parse(SearchRequest(query="w1", k=5000), settings)


def test_limits(client):
    error = refused(client, query="w1", k=10, offset=991)
    assert (error["param"], error["message"]) == ("offset", "k + offset 1001: this service allows at most 1000")
    assert refused(client, query="w1", offset=-1)["param"] == "offset"
    assert len(search(client, query="w1", k=10, offset=990)["results"]) == 10
