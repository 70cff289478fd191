"""``POST /v1/classify``: request and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from models.classifier.cascade import Cascade
from models.classifier.classifier import Classification
from service.schemas.inputs import Texts


class ClassifyRequest(BaseModel):
    """Texts or images to classify: exactly one of ``input`` and ``images``."""

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

    input: Texts | None = Field(default=None, description="A text, or several.")
    images: list[str] | None = Field(
        default=None,
        description="Images, where the classifier is one of images: base64 of a file each.",
        json_schema_extra={"minItems": 1},
    )
    dims: StrictInt | None = Field(default=None, ge=1, description="Classify at this size alone.")
    accuracy: StrictFloat | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Expected accuracy wanted: the cascade of fewest dimensions that has it is taken, or the most "
        "accurate, whose promise is not `met`. The cascade chosen in training where absent.",
    )

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if (self.input is None) == (self.images is None):
            raise ValueError("give exactly one of input, which is texts, and images")
        if self.dims is not None and self.accuracy is not None:
            raise ValueError("give dims or accuracy, not both: a size alone is no cascade")
        return self


class ClassificationOut(BaseModel):
    """The answer for one text or image."""

    label: str
    confidence: float = Field(description="Softmax probability at the size that answered; not calibrated.")
    dims: int = Field(description="The size that answered.")


class CascadeOut(BaseModel):
    """The cascade that answered: what was expected of it by cross-validation when it was learned."""

    accuracy: float
    dims: float = Field(description="Mean of the size that answers.")
    dims_summed: float = Field(description="Mean of the sizes looked at, added up.")
    met: bool = Field(description="Whether this is the accuracy that was asked for.")

    @classmethod
    def of(cls, cascade: Cascade, wanted: float | None) -> Self:
        """Take it from a cascade."""
        met = wanted is None or cascade.accuracy >= wanted
        return cls(accuracy=cascade.accuracy, dims=cascade.dims, dims_summed=cascade.dims_summed, met=met)


class ClassifyAnswer(BaseModel):
    """Answers in the order of the texts or images."""

    results: list[ClassificationOut]
    model: str
    mean_dims: float
    cascade: CascadeOut | None = Field(description="Null where one size answered for all.")

    @classmethod
    def of(cls, found: Sequence[Classification], model: str, cascade: Cascade | None, request: ClassifyRequest) -> Self:
        """Shape what a classifier found."""
        return cls(
            results=[ClassificationOut(label=one.label, confidence=one.confidence, dims=one.dims) for one in found],
            model=model,
            mean_dims=sum(one.dims for one in found) / len(found),
            cascade=None if cascade is None else CascadeOut.of(cascade, request.accuracy),
        )
