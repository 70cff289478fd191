import base64

import numpy as np
import pytest

from indexer import Index
from tests.service.applications import refused, search


def test_base64_finds_what_the_numbers_find(client, built):
    with Index.open(built) as index:
        vectors = index.encoder.encode_queries(["w1 w2", "w3 w4 w5"])
    texts = [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
    numbers = search(client, vectors=vectors.tolist())["results"]
    assert search(client, vectors=texts)["results"] == numbers
    assert search(client, vectors=[texts[0], vectors[1].tolist()])["results"] == numbers
    assert search(client, vector=texts[0])["results"] == numbers[0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "0 bytes"),
        ("AAA", "not base64"),
        ("AAAAAAA=", "5 bytes in base64: 4 are needed"),
        ("é", "not base64"),
        ("AAAAAA==", "a vector of 1 numbers: the index has 32 dimensions"),
        (base64.b64encode(np.full(32, np.nan, "<f4")).decode(), "NaN or infinity"),
    ],
)
def test_invalid_vectors_are_refused(client, value, message):
    error = refused(client, vector=value)
    assert (error["param"], message in error["message"]) == ("vector", True)
    assert refused(client, vectors=[value])["param"].startswith("vector")


def test_a_long_vector_is_refused(client):
    answer = client.post("/v1/search", json={"vector": [0.5] * 100_000})
    assert answer.status_code == 422
    assert len(answer.content) < 1000
