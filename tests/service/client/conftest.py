"""Both kinds of client over a transport that plays the part of the service."""

import httpx
import pytest

from service.client import AsyncClient, Client
from tests.service.client.fakes import QUICK, URL, Awaited


@pytest.fixture(params=["sync", "async"])
def connect(request):
    def make(service, **options):
        options = {"retries": QUICK, **options}
        transport = httpx.MockTransport(service)
        if request.param == "sync":
            return Client(URL, http=httpx.Client(transport=transport), **options)
        return Awaited(AsyncClient(URL, http=httpx.AsyncClient(transport=transport), **options))

    return make
