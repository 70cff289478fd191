"""Options of a hybrid search, which fuses candidates found by vectors and by words."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictFloat, StrictInt

from indexer import Fusion, HybridOptions

_DEFAULTS = HybridOptions()


class Hybrid(BaseModel):
    """Options of a hybrid search."""

    model_config = ConfigDict(extra="forbid")

    fusion: Fusion = Field(
        default=_DEFAULTS.fusion,
        description="`rrf`: sum of weight / (60 + rank) over both lists. `weighted`: weighted sum of the cosine, "
        "scaled to 0 to 1 over the candidates, and of BM25 divided by its maximum.",
    )
    weight: StrictFloat = Field(
        default=_DEFAULTS.weight, ge=0, le=1, description="Weight of the vectors; BM25 gets the rest."
    )
    candidates: StrictInt = Field(
        default=_DEFAULTS.candidates, ge=1, description="Length of each of the two lists; at least k."
    )

    @property
    def options(self) -> HybridOptions:
        """The options for the index."""
        return HybridOptions(fusion=self.fusion, weight=self.weight, candidates=self.candidates)


def _switched(given: object) -> object:
    if isinstance(given, bool):
        return Hybrid() if given else None
    if given is None or isinstance(given, dict | Hybrid):
        return given
    raise ValueError("give true, false or an object")


HybridSwitch = Annotated[Hybrid | None, BeforeValidator(_switched, json_schema_input_type=bool | Hybrid | None)]
"""An object, or true for its defaults; false is read as None."""
