import base64

import numpy as np
import pytest
from pydantic import ValidationError

from service.schemas.embeddings import EmbeddingAnswer, EmbeddingRequest, ModelOut, ModelsAnswer

VECTORS = np.array([[0.5, -0.5], [0.25, 1.0]], np.float32)


def answer(**body):
    return EmbeddingAnswer.from_vectors(VECTORS, EmbeddingRequest(input=["a", "b"], **body), "tiny", 7).model_dump()


def test_vectors_are_numbers_or_base64():
    assert answer() == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 1.0]},
        ],
        "model": "tiny",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    coded = [item["embedding"] for item in answer(encoding_format="base64")["data"]]
    np.testing.assert_array_equal([np.frombuffer(base64.b64decode(text), "<f4") for text in coded], VECTORS)


@pytest.mark.parametrize(
    "body",
    [{"dimensions": 0}, {"dimensions": "8"}, {"encoding_format": "hex"}, {"input_type": "passage"}, {"truncate": True}],
    ids=lambda body: next(iter(body)),
)
def test_what_is_not_allowed_is_refused(body):
    with pytest.raises(ValidationError, match=next(iter(body))):
        EmbeddingRequest.model_validate({"input": "a", **body})


def test_models_have_openais_shape():
    listed = ModelsAnswer(data=[ModelOut(id="tiny", created=5)]).model_dump()
    model = {"id": "tiny", "object": "model", "created": 5, "owned_by": "adaptive-retrieval"}
    assert listed == {"object": "list", "data": [model]}
