import asyncio
import base64
import json

import httpx
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Index, build_index
from models import Prompts, load_encoder, truncate
from models.training.trainable import as_trainable
from service import Settings
from service.http.server import running
from tests.conftest import make_encoder, write_lines
from tests.service.applications import error_of

TEXTS = ["w1 w2 w3", "w4", "w250 w17"]


@pytest.fixture(scope="module")
def served_encoder(built):
    with Index.open(built) as index:
        return index.encoder


def create(client, **body):
    return client.post("/v1/embeddings", json=body).raise_for_status().json()


def vectors_of(answer):
    assert [item["index"] for item in answer["data"]] == list(range(len(answer["data"])))
    return np.array([item["embedding"] for item in answer["data"]], np.float32)


class TestAnswers:
    def test_embeddings_are_the_encoders(self, client, served_encoder):
        answer = create(client, input=TEXTS, model="tiny", user="someone")
        np.testing.assert_array_equal(vectors_of(answer), served_encoder.encode_documents(TEXTS))
        assert answer["object"] == "list"
        assert {item["object"] for item in answer["data"]} == {"embedding"}
        assert answer["model"] == "tiny"
        assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
        assert vectors_of(create(client, input="w4")).tolist() == vectors_of(answer)[1:2].tolist()

    @pytest.mark.parametrize("size", [8, 16, 32])
    def test_prefixes_are_renormalised(self, client, served_encoder, size):
        vectors = vectors_of(create(client, input=TEXTS, dimensions=size))
        np.testing.assert_array_equal(vectors, truncate(served_encoder.encode_documents(TEXTS), size))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)

    def test_base64_holds_the_same_numbers(self, client):
        numbers = vectors_of(create(client, input=TEXTS, dimensions=16))
        coded = create(client, input=TEXTS, dimensions=16, encoding_format="base64")
        decoded = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in coded["data"]]
        np.testing.assert_array_equal(decoded, numbers)

    def test_tokens_stand_for_their_text(self, client, served_encoder):
        ids = [served_encoder.tokenizer.encode(text).ids for text in TEXTS]
        by_text = create(client, input=TEXTS)
        assert create(client, input=ids) == by_text
        assert create(client, input=ids[0])["data"] == by_text["data"][:1]

    def test_a_text_without_a_known_token_gives_zeros(self, client):
        assert not vectors_of(create(client, input="unheard")).any()

    def test_the_served_model_is_listed(self, client):
        answer = client.get("/v1/models").raise_for_status().json()
        (model,) = answer["data"]
        assert (answer["object"], model["object"], model["id"]) == ("list", "model", "tiny")
        assert model["created"] > 1.7e9


@pytest.mark.parametrize(
    ("body", "status", "param", "message"),
    [
        ({}, 422, "input", "Field required"),
        ({"input": ""}, 422, "input", "text 0 is empty"),
        ({"input": []}, 422, "input", "at least one text"),
        ({"input": ["w1", ""]}, 422, "input", "text 1 is empty"),
        ({"input": [[1], []]}, 422, "input", "either texts or lists of tokens"),
        ({"input": ["w1", 2]}, 422, "input", "either texts or lists of tokens"),
        ({"input": [1, True]}, 422, "input", "either texts or lists of tokens"),
        ({"input": None}, 422, "input", "give a text"),
        ({"input": {"text": "w1"}}, 422, "input", "give a text"),
        ({"input": [1.5]}, 422, "input", "either texts or lists of tokens"),
        ({"input": [301]}, 422, "input", "token 301 is none of the 301 of model"),
        ({"input": [-1]}, 422, "input", "token -1 is none"),
        ({"input": [2**40]}, 422, "input", "is none of the"),
        ({"input": ["w1"] * 2049}, 422, "input", "2049 texts: this service allows at most 2048"),
        ({"input": ["w" * 2_000_001]}, 422, "input", "2000001 characters: this service allows 2000000"),
        ({"input": "w1", "dimensions": 12}, 422, "dimensions", "dimensions 12: allowed for this model are 8, 16, 32"),
        ({"input": "w1", "dimensions": 64}, 422, "dimensions", "allowed for this model are 8, 16, 32"),
        ({"input": "w1", "dimensions": 0}, 422, "dimensions", "greater than or equal to 1"),
        ({"input": "w1", "dimensions": "8"}, 422, "dimensions", "valid integer"),
        ({"input": "w1", "encoding_format": "hex"}, 422, "encoding_format", "'float' or 'base64'"),
        ({"input": "w1", "input_type": "passage"}, 422, "input_type", "'query' or 'document'"),
        ({"input": "w1", "truncate": True}, 422, "truncate", "Extra inputs"),
        ({"input": "w1", "model": "gpt"}, 404, "model", "model 'gpt' is not served here; the served model is 'tiny'"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(client, body, status, param, message):
    response = client.post("/v1/embeddings", json=body)
    error = error_of(response)
    assert (response.status_code, error["param"]) == (status, param)
    assert message in error["message"]
    assert error["code"] == ("model_not_found" if status == 404 else "invalid_option")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 310) | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(["input", "model", "dimensions", "encoding_format", "user"])


@given(json_values, st.dictionaries(names, json_values, max_size=2))
def test_nothing_a_client_sends_gives_a_server_error(url, value, body):
    response = httpx.post(f"{url}/v1/embeddings", content=json.dumps({"input": value, **body}), trust_env=False)
    assert response.status_code < 500
    if response.status_code != 200:
        error_of(response)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory):
    """A service whose model has prompts, and which gives any size."""
    root = tmp_path_factory.mktemp("prompted")
    encoder = make_encoder(prompts=Prompts("w298 ", "w299 "))
    as_trainable(encoder, "cpu").save(str(root / "model"), create_model_card=False)
    corpus = write_lines(root / "corpus.jsonl", [{"_id": "1", "text": "w1"}])
    build_index(Corpus([corpus]), load_encoder(str(root / "model")), root / "index", BuildOptions(dims=16))
    settings = Settings(
        index=root / "index", port=0, auth="off", log_level="warning", watch_share=0, any_dimensions=True, max_inputs=3
    )
    with running(settings) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client, load_encoder(str(root / "model"))


def test_the_input_type_chooses_the_prompt(prompted):
    client, encoder = prompted
    documents = create(client, input=TEXTS)
    np.testing.assert_array_equal(vectors_of(documents), encoder.encode_documents(TEXTS))
    assert documents["usage"]["total_tokens"] == 6 + 3
    queries = vectors_of(create(client, input=TEXTS, input_type="query"))
    np.testing.assert_array_equal(queries, encoder.encode_queries(TEXTS))
    assert not np.array_equal(queries, vectors_of(documents))


def test_any_size_where_the_settings_say_so(prompted):
    client, encoder = prompted
    vectors = vectors_of(create(client, input=TEXTS, dimensions=13))
    np.testing.assert_array_equal(vectors, truncate(encoder.encode_documents(TEXTS), 13))
    response = client.post("/v1/embeddings", json={"input": "w1", "dimensions": 33})
    assert "any from 1 to 32" in error_of(response)["message"]
    assert "4 texts" in error_of(client.post("/v1/embeddings", json={"input": ["w1"] * 4}))["message"]


class TestOpenAIsClient:
    """The real library: what it sends and makes of answers."""

    @pytest.fixture
    def api(self, url):
        with (
            httpx.Client(trust_env=False) as http,
            openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as opened,
        ):
            yield opened

    def test_embeddings(self, api, served_encoder):
        expected = served_encoder.encode_documents(TEXTS)
        for format in (None, "float", "base64"):
            options = {} if format is None else {"encoding_format": format}
            answer = api.embeddings.create(model="tiny", input=TEXTS, **options)
            vectors = (
                [np.frombuffer(base64.b64decode(item.embedding), "<f4") for item in answer.data]
                if (format == "base64")
                else [item.embedding for item in answer.data]
            )
            np.testing.assert_allclose(np.array(vectors, np.float32), expected, atol=1e-7)
            assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == ("tiny", 6, 6)
        answer = api.embeddings.create(model="tiny", input="w4", dimensions=8, user="someone")
        np.testing.assert_allclose(answer.data[0].embedding, truncate(expected[1], 8), atol=1e-7)
        answer = api.embeddings.create(model="tiny", input=[[1, 2, 3], [4]], extra_body={"input_type": "query"})
        np.testing.assert_allclose([item.embedding for item in answer.data], expected[:2], atol=1e-6)

    def test_models(self, api):
        assert [model.id for model in api.models.list()] == ["tiny"]

    def test_errors(self, api):
        with pytest.raises(openai.NotFoundError) as missing:
            api.embeddings.create(model="text-embedding-3-small", input="w1")
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.UnprocessableEntityError, match="allowed for this model are 8, 16, 32") as wrong:
            api.embeddings.create(model="tiny", input="w1", dimensions=100)
        assert (wrong.value.code, wrong.value.param) == ("invalid_option", "dimensions")
        with pytest.raises(openai.UnprocessableEntityError, match="text 0 is empty"):
            api.embeddings.create(model="tiny", input="")

    def test_an_unready_service_is_reported(self, tmp_path):
        from service import create_app

        async def run():
            transport = httpx.ASGITransport(create_app(Settings(index=tmp_path, auth="off")))
            async with (
                httpx.AsyncClient(transport=transport) as http,
                openai.AsyncOpenAI(base_url="http://test/v1", api_key="none", max_retries=0, http_client=http) as api,
            ):
                with pytest.raises(openai.InternalServerError) as unready:
                    await api.embeddings.create(model="tiny", input="w1")
            assert (unready.value.status_code, unready.value.code) == (503, "not_ready")

        asyncio.run(run())
