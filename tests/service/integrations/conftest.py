"""An index, opened and served, as sources of the retrievers."""

import os

# Before anything imports Haystack, whose telemetry is on by default.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import httpx
import pytest

from indexer import Index, SearchOptions
from service import Settings
from service.client import Client
from service.http.server import running


@pytest.fixture(scope="session")
def served(built):
    with running(Settings(index=built, port=0, auth="off", log_level="warning", watch_share=0)) as address:
        yield address


@pytest.fixture(scope="session")
def opened(built):
    with Index.open(built) as index:
        yield index


@pytest.fixture(params=["client", "index"])
def source(request, served, opened):
    if request.param == "index":
        yield opened
    else:
        with httpx.Client(trust_env=False) as http:
            yield Client(served, http=http)


@pytest.fixture(scope="session")
def expected(opened):
    """The results of the query ``w1 w2 w3``."""
    return opened.search(["w1 w2 w3"], SearchOptions(k=3)).hits[0]
