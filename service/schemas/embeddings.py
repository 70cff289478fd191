"""``POST /v1/embeddings`` and ``GET /v1/models``, in the format of OpenAI's API."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from models import Vectors
from models.data.vector_text import encode_vector
from service.schemas.inputs import TextsOrTokens


class EmbeddingRequest(BaseModel):
    """Texts to embed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"input": ["parse a date", "open a file"], "dimensions": 64}]}
    )

    input: TextsOrTokens = Field(description="A text, a list of texts, or tokens of the model's own tokenizer.")
    model: str | None = Field(default=None, description="The served model, as named by `GET /v1/models`.")
    dimensions: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Prefix size to truncate embeddings to before re-normalising them; one of those the model was "
        "trained for. Default: the full dimension.",
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="A list of numbers, or base64 of little-endian float32."
    )
    input_type: Literal["query", "document"] = Field(
        default="document", description="Which of the model's prompts to prepend."
    )
    user: str | None = Field(default=None, description="Ignored.")


class EmbeddingOut(BaseModel):
    """The embedding of one text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Number of tokens, including the prompt."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingAnswer(BaseModel):
    """Embeddings in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: Usage

    @classmethod
    def from_vectors(cls, vectors: Vectors, request: EmbeddingRequest, model: str, tokens: int) -> Self:
        """Build the response from vectors, encoded as the request says."""
        base64 = request.encoding_format == "base64"
        return cls(
            data=[
                EmbeddingOut(index=number, embedding=encode_vector(vector) if base64 else vector.tolist())
                for number, vector in enumerate(vectors)
            ],
            model=model,
            usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
        )


class ModelOut(BaseModel):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When the served generation was created, in seconds since 1970.")
    owned_by: str = "adaptive-retrieval"


class ModelsAnswer(BaseModel):
    """The served models."""

    object: Literal["list"] = "list"
    data: list[ModelOut]
