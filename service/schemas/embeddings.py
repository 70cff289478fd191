"""``POST /v1/embeddings`` and ``GET /v1/models``, in OpenAI's shapes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from models.data.vector_text import encode_vector
from models.nesting import Vectors
from service.schemas.inputs import TextsOrTokens


class EmbeddingRequest(BaseModel):
    """Texts to embed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"input": ["parse a date", "open a file"], "dimensions": 64}]}
    )

    input: TextsOrTokens = Field(description="A text, several, or tokens of the model's own tokenizer.")
    model: str | None = Field(default=None, description="The model that is served, as `GET /v1/models` names it.")
    dimensions: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Size to cut embeddings to, which are then normalised again: one of those the model was trained "
        "for. The full size where absent.",
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Numbers, or base64 of little-endian float32."
    )
    input_type: Literal["query", "document"] = Field(
        default="document", description="Which of the model's prompts is put in front."
    )
    user: str | None = Field(default=None, description="Ignored.")


class EmbeddingOut(BaseModel):
    """The embedding of one text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens read, the prompt's included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingAnswer(BaseModel):
    """Embeddings in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: Usage

    @classmethod
    def of(cls, vectors: Vectors, request: EmbeddingRequest, model: str, tokens: int) -> Self:
        """Shape vectors as the request asked."""
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
    created: int = Field(description="When the generation that is served was made; seconds since 1970.")
    owned_by: str = "adaptive-retrieval"


class ModelsAnswer(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelOut]
