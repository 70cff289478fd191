import asyncio

import httpx

from service.client import AsyncClient, Client
from tests.service.client.fakes import FOUND, QUICK, URL, Service, bulk_service, refusal


def make(service):
    return AsyncClient(URL, http=httpx.AsyncClient(transport=httpx.MockTransport(service)), retries=QUICK)


def test_it_has_the_methods_of_the_synchronous_client():
    public = {name for name in vars(Client) if not name.startswith("_")}
    assert public - {"close"} == {name for name in vars(AsyncClient) if not name.startswith("_")} - {"aclose"}


def test_a_call_is_retried():
    service = Service(refusal(503), httpx.ReadError("reset"), FOUND)
    assert asyncio.run(make(service).search("a")).results == ()
    assert len(service.requests) == 3


def test_rows_may_come_from_an_asynchronous_iterable():
    async def rows():
        for i in range(1002):
            yield {"_id": str(i), "text": "t"}

    assert asyncio.run(make(Service(bulk_service)).upsert_many(rows())).added == 1002


def test_rows_may_come_from_an_iterable():
    rows = ({"_id": str(i), "text": "t"} for i in range(3))
    assert asyncio.run(make(Service(bulk_service)).upsert_many(rows)).added == 3


def test_it_closes_what_it_opened_and_leaves_open_what_it_was_given():
    async def run():
        async with httpx.AsyncClient() as given:
            async with AsyncClient(f"{URL}/", http=given) as client:
                assert client.url == URL
            assert not given.is_closed
        async with AsyncClient(URL) as own:
            pass
        assert own._http.is_closed

    asyncio.run(run())


def test_searches_run_concurrently_against_the_service(url):
    async def run():
        async with httpx.AsyncClient(trust_env=False) as http, AsyncClient(url, http=http) as client:
            answers = await asyncio.gather(*(client.search(f"w{i}", k=2) for i in range(8)))
            return await client.ready(), [len(answer.results) for answer in answers]

    assert asyncio.run(run()) == (True, [2] * 8)


def test_a_service_that_is_not_ready_is_no_error():
    assert asyncio.run(make(Service(refusal(503, "not_ready"))).ready()) is False
