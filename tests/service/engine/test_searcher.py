"""Requests that are searched together are answered as if each had been searched alone."""

import asyncio
import base64
import io
import json
import threading

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st
from PIL import Image

from indexer import Index, SearchOptions
from models import InvalidOptionError
from service import Settings, create_app
from service.engine.parsed_search import ParsedSearch
from service.engine.searcher import Searcher, stack_vectors
from service.schemas.search import SearchRequest
from service.telemetry.metrics import Metrics
from tests.conftest import DIMENSION, WORDS

TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
VECTOR = st.integers(0, 99).map(lambda seed: np.random.default_rng(seed).normal(size=DIMENSION).tolist())
SHAPE = st.fixed_dictionaries(
    {},
    optional={
        "offset": st.integers(0, 3),
        "include": st.sampled_from([[], ["title"], ["n", "title"]]),
    },
)
JSON = {"content-type": "application/json"}
OPTIONS = st.sampled_from(
    [{}, {"k": 3}, {"recall": 0.9}, {"candidates": 40}, {"filter": {"n": {"$in": [1, 2, 3, 700]}}}, {"dims": 8}]
)


@pytest.fixture(scope="module")
def settings(built):
    return Settings(index=built, auth="off")


@pytest.fixture(scope="module")
def searcher(built, settings):
    with Index.open(built) as index:
        yield Searcher(index, settings, Metrics())


@runs(max_examples=30)
@given(
    options=OPTIONS,
    bodies=st.one_of(
        *(
            st.lists(st.one_of(one.map(lambda value, key=key: {key: value}), many), min_size=1, max_size=6)
            for key, one, many in (
                ("query", TEXT, st.lists(TEXT, min_size=1, max_size=3).map(lambda value: {"queries": value})),
                ("vector", VECTOR, st.lists(VECTOR, min_size=1, max_size=3).map(lambda value: {"vectors": value})),
            )
        )
    ),
    shapes=st.lists(SHAPE, min_size=6, max_size=6),
)
def test_together_is_as_alone(searcher, settings, options, bodies, shapes):
    searches = []
    for body, shape in zip(bodies, shapes, strict=False):
        # The offset is part of the options: requests that differ in it are not searched together.
        request = SearchRequest.model_validate({**body, **options, **shape, "offset": shapes[0].get("offset", 0)})
        searches.append(ParsedSearch.parse(request, settings))
    assert len({search.group for search in searches}) == 1
    together = [json.loads(answer) for answer in searcher(searches, 2)]
    alone = [json.loads(searcher([search], 1)[0]) for search in searches]
    for batched, single in zip(together, alone, strict=True):
        assert batched == _close(single)


def _close(value):
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-6)
    if isinstance(value, list):
        return [_close(item) for item in value]
    return {key: _close(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_one_invalid_query_does_not_affect_the_others(built):
    """Held until all wait, so that they are searched together."""

    async def go():
        app = create_app(Settings(index=built, auth="off", threads=1, watch_share=0, follow_seconds=0))
        engine = app.state.engine
        await engine.load()
        hold = threading.Event()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            holder = asyncio.create_task(engine.run(lambda: hold.wait(30)))
            texts = ["w1", "\ud800", "w2"]
            posts = [
                asyncio.create_task(client.post("/v1/search", content=json.dumps({"query": text}), headers=JSON))
                for text in texts
            ]
            while engine.reads.waiting < len(texts):
                await asyncio.sleep(0.01)
            hold.set()
            await holder
            answers = await asyncio.gather(*posts)
            assert [answer.status_code for answer in answers] == [200, 422, 200]
            alone = await client.post("/v1/search", json={"query": "w2"})
            assert answers[2].json() == alone.json()
            assert "mrl_batch_requests_sum" in (await client.get("/metrics")).text
        await engine.close()

    asyncio.run(go())


def test_a_batch_is_traced_once_for_all_its_requests(built, settings):
    class Spans:
        def __init__(self):
            self.written = []

        def search(self, contexts, stages, attributes):
            self.written.append((contexts, [stage.name for stage in stages], attributes))

    bodies = [({"query": "w1"}, "first"), ({"queries": ["w2"]}, "second")]
    searches = [ParsedSearch.parse(SearchRequest.model_validate(body), settings, span) for body, span in bodies]
    spans = Spans()
    with Index.open(built) as index:
        Searcher(index, settings, Metrics(), spans)(searches, 1)
        plan = index.plan(SearchOptions())
    ((contexts, stages, attributes),) = spans.written
    assert contexts == ["first", "second"]
    assert stages[:2] == ["encode", "shortlist"]
    assert attributes == {name: getattr(plan, name) for name in ("structure", "dims", "candidates", "k")}


def test_images_are_decoded_and_searched(opened, settings):
    class Images:
        def __init__(self):
            self.searched = []

        def search_images(self, images, options, threads):
            self.searched.extend(images)
            return opened.search(["w1"] * len(images), options)

    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    searches = [
        ParsedSearch.parse(SearchRequest.model_validate(body), settings)
        for body in ({"image": text}, {"images": [text, text]})
    ]
    index = Images()
    single, several = map(json.loads, Searcher(index, settings, Metrics())(searches, 1))
    assert index.searched == [file.getvalue()] * 3
    assert several["results"] == [single["results"]] * 2


def test_a_vector_of_another_size_is_refused():
    vectors = [np.zeros(3, np.float32), np.zeros(4, np.float32)]
    assert stack_vectors(vectors[:1], 3).shape == (1, 3)
    with pytest.raises(InvalidOptionError, match="a vector of 4 numbers: the index has 3 dimensions"):
        stack_vectors(vectors, 3)
