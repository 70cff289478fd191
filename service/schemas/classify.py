"""``POST /v1/classify``: request and response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from models import Cascade, Classification
from service.schemas.inputs import Texts


class ClassifyRequest(BaseModel):
    """Texts or images to classify, in exactly one of ``input`` and ``images``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"input": ["the sea is rising"]}],
            "not": {
                "required": ["dims", "accuracy"],
                "properties": {"dims": {"type": "integer"}, "accuracy": {"type": "number"}},
            },
            "oneOf": [
                {"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("input", "images")
            ],
        },
    )

    input: Texts | None = Field(default=None, description="A text, or a list of texts.")
    images: list[str] | None = Field(
        default=None,
        description="Images, if the classifier is one of images: base64 of an image file each.",
        json_schema_extra={"minItems": 1},
    )
    dims: StrictInt | None = Field(default=None, ge=1, description="Classify at this prefix size only.")
    accuracy: StrictFloat | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Target accuracy. The cascade that reaches it with the fewest dimensions is used; if none does, "
        "the most accurate one, with `met` false. Default: the cascade chosen in training.",
    )

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if (self.input is None) == (self.images is None):
            raise ValueError("give exactly one of input (texts) and images")
        if self.dims is not None and self.accuracy is not None:
            raise ValueError("give dims or accuracy, not both: a single size is not a cascade")
        return self


class ClassificationOut(BaseModel):
    """The label of one text or image."""

    label: str
    confidence: float = Field(description="Softmax probability at `dims`; not calibrated.")
    dims: int = Field(description="The prefix size that decided.")


class CascadeOut(BaseModel):
    """The cascade that was used, with the values that cross-validation measured in training."""

    accuracy: float
    dims: float = Field(description="Mean prefix size that decides.")
    dims_summed: float = Field(description="Mean sum of the prefix sizes evaluated.")
    met: bool = Field(description="Whether the cascade reaches the target accuracy.")

    @classmethod
    def from_cascade(cls, cascade: Cascade, target: float | None) -> Self:
        """Describe a cascade chosen for a target accuracy; None stands for no target."""
        met = target is None or cascade.accuracy >= target
        return cls(accuracy=cascade.accuracy, dims=cascade.dims, dims_summed=cascade.dims_summed, met=met)


class ClassifyAnswer(BaseModel):
    """Labels in the order of the texts or images."""

    results: list[ClassificationOut]
    model: str
    mean_dims: float
    cascade: CascadeOut | None = Field(description="Null if a single size was used.")

    @classmethod
    def from_results(
        cls, results: Sequence[Classification], model: str, cascade: Cascade | None, request: ClassifyRequest
    ) -> Self:
        """Build the response from the results of a classifier."""
        answer = {
            "results": results,
            "model": model,
            "mean_dims": sum(result.dims for result in results) / len(results),
            "cascade": None if cascade is None else CascadeOut.from_cascade(cascade, request.accuracy),
        }
        return cls.model_validate(answer, from_attributes=True)
