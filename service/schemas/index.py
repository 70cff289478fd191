"""``/v1/index`` and the health routes: requests and responses."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from indexer import CalibrationFacts, Index, LexicalFacts, WatchFacts
from service.schemas.compaction import CompactionFacts


class IndexAnswer(BaseModel):
    """Facts about the served index."""

    generation: str
    created: str
    documents: int
    rejected: int = Field(description="Number of corpus rows that were rejected.")
    dimension: int
    sizes: list[int] = Field(description="Prefix sizes the model was trained for.")
    metric: str
    model: str
    model_hash: str
    vectors: str = Field(description="How the full vectors are stored.")
    shortlist: dict[str, Any]
    bytes_on_disk: int
    lexical: LexicalFacts | None = Field(description="The lexical index for hybrid searches; null if there is none.")
    calibration: CalibrationFacts | None = Field(description="The calibrated plans; null if there are none.")
    updates: int = Field(description="Number of documents added, replaced or deleted since the generation was built.")
    compaction: CompactionFacts
    recall_watch: WatchFacts = Field(
        description="Recall of live queries of this process, compared with the promised recall."
    )

    @classmethod
    def from_index(cls, index: Index, compaction: CompactionFacts) -> Self:
        """Collect the facts about an open index."""
        manifest = index.manifest
        return cls(
            generation=index.generation,
            created=manifest.created.isoformat(),
            documents=len(index),
            rejected=manifest.corpus.rejected,
            dimension=manifest.dimension,
            sizes=list(manifest.model.sizes),
            metric=manifest.metric,
            model=manifest.model.name,
            model_hash=manifest.model.content_hash,
            vectors=manifest.vectors,
            shortlist={
                "dims": manifest.shortlist.dims,
                **manifest.shortlist.options,
                **index.opened.shortlist.describe(),
            },
            bytes_on_disk=sum(facts.size for facts in manifest.files.values()),
            lexical=manifest.lexical,
            calibration=manifest.calibration,
            updates=index.view.delta.changes,
            compaction=compaction,
            recall_watch=index.watch.facts(),
        )


class Reloaded(BaseModel):
    """The generation served after a reload."""

    generation: str
    changed: bool = Field(description="Whether the generation is new, or was recalibrated.")


class RollbackRequest(BaseModel):
    """Which generation to roll back to."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(default=None, description="Its number. Default: the generation before the published one.")


class RolledBack(BaseModel):
    """The effect of a rollback."""

    before: str = Field(description="The generation published before.")
    generation: str = Field(description="The generation published now.")


class Health(BaseModel):
    """`alive` or `ready`."""

    status: str
