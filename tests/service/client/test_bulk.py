import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import service.client as api
from service.client import Client
from service.client.bulk import MOST_BYTES, MOST_ROWS
from tests.service.client.fakes import URL, Service, bulk_service, refusal


def test_requests_are_bounded_and_their_reports_merged(connect):
    service = Service(bulk_service)
    rows = ({"_id": str(i), "text": "t"} if i % 1000 else {"text": "no id"} for i in range(2 * MOST_ROWS + 5))
    report = connect(service).upsert_many(rows)
    assert [request.content.count(b"\n") for request in service.requests] == [MOST_ROWS, MOST_ROWS, 5]
    assert {request.headers["content-type"] for request in service.requests} == {"application/x-ndjson"}
    assert (report.added, report.replaced, report.rejected) == (2002, 0, 3)
    assert [line.line for line in report.lines] == list(range(1, 2006))
    assert [line.line for line in report.lines if line.result == "rejected"] == [1, 1001, 2001]


@settings(max_examples=12)  # each sends up to 48 MB
@given(sizes=st.lists(st.sampled_from([1, MOST_BYTES // 3, MOST_BYTES, 2 * MOST_BYTES]), max_size=6))
def test_no_row_is_lost_and_no_request_is_too_long(sizes):
    service = Service(bulk_service)
    with Client(URL, http=httpx.Client(transport=httpx.MockTransport(service))) as client:
        report = client.upsert_many({"_id": str(i), "text": "x" * size} for i, size in enumerate(sizes))
    assert [line.id for line in report.lines] == [str(i) for i in range(len(sizes))]
    for request in service.requests:
        assert len(request.content) <= MOST_BYTES or request.content.count(b"\n") == 1


def test_an_interrupted_upsert_notes_its_progress(connect):
    service = Service(bulk_service, refusal(500))
    with pytest.raises(api.ServerError) as caught:
        connect(service).upsert_many({"_id": str(i), "text": "t"} for i in range(1500))
    assert "the first 1000 rows were answered (1000 added" in caught.value.__notes__[0]
