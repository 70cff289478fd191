"""``GET /v1/index`` and the health routes: answers."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from indexer import Index
from indexer.storage.manifest import CalibrationFacts, LexicalFacts
from indexer.watch import WatchFacts
from service.engine.compaction import CompactionFacts


class IndexAnswer(BaseModel):
    """Facts about the served index."""

    generation: str
    created: str
    documents: int
    rejected: int = Field(description="Rows of the corpus that did not become documents.")
    dimension: int
    sizes: list[int] = Field(description="Prefix sizes the model was trained for.")
    metric: str
    model: str
    model_hash: str
    vectors: str = Field(description="How full vectors are stored.")
    shortlist: dict[str, Any]
    bytes_on_disk: int
    lexical: LexicalFacts | None = Field(description="Words for hybrid searches; null where there are none.")
    calibration: CalibrationFacts | None = Field(description="The calibrated plans; null where there are none.")
    updates: int = Field(description="Rows added, replaced or deleted since the generation was made.")
    compaction: CompactionFacts
    recall_watch: WatchFacts = Field(description="Recall of live queries of this process, beside what was promised.")

    @classmethod
    def of(cls, index: Index, compaction: CompactionFacts) -> Self:
        """Take them from an opened index."""
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
    """What is served after a reload."""

    generation: str
    changed: bool = Field(description="Whether it is another than before, or was calibrated anew.")


class RollbackRequest(BaseModel):
    """Which generation to go back to."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(default=None, description="Its number; the one before the published where absent.")


class RolledBack(BaseModel):
    """What a rollback did."""

    before: str = Field(description="The generation that was published.")
    generation: str = Field(description="The one that is now.")


class Health(BaseModel):
    """Alive, or ready."""

    status: str
