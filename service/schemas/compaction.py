"""Facts about a compaction: part of ``GET /v1/index``, and the response of ``POST /v1/index/compact``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class CompactionFacts(BaseModel):
    """The latest compaction started by this process."""

    state: Literal["none", "running", "done", "failed"] = "none"
    started: datetime | None = None
    ended: datetime | None = None
    generation: str | None = Field(default=None, description="The generation it published, if done.")
    message: str | None = Field(default=None, description="Why it failed.")
