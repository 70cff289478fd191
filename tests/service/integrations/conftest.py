"""An index, opened and served, as sources of the retrievers."""

import os

# Before anything imports Haystack, whose telemetry is on by default.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import httpx
import pytest

from indexer import SearchOptions
from service.client import Client


@pytest.fixture(params=["client", "index"])
def source(request, url, opened):
    if request.param == "index":
        yield opened
    else:
        with httpx.Client(trust_env=False) as http:
            yield Client(url, http=http)


@pytest.fixture(scope="session")
def expected(opened):
    """The results of the query ``w1 w2 w3``."""
    return opened.search(["w1 w2 w3"], SearchOptions(k=3)).hits[0]
