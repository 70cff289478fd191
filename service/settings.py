"""Settings of the service: one class is the source of environment variables, flag defaults and documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How the service runs. Each field is read from ``MRL_<NAME>`` where it is not given."""

    model_config = SettingsConfigDict(env_prefix="MRL_", frozen=True, extra="forbid")

    index: Path = Field(description="The index directory.")
    model: str | None = Field(default=None, description="Where the index's model is now, if it has moved.")
    device: str = Field(default="auto", description="Where queries are encoded: auto, cpu or cuda.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for a free one.")
    threads: int = Field(default=2, ge=1, le=256, description="Requests searched at the same time.")
    max_pending: int = Field(
        default=128, ge=1, description="Requests searched or waiting; further ones are answered 503 with Retry-After."
    )
    max_k: int = Field(default=1000, ge=1, description="Largest k of a request.")
    max_candidates: int = Field(default=10_000, ge=1, description="Largest number of candidates of a request.")
    max_effort: int = Field(default=10_000, ge=1, description="Largest effort of a request.")
    max_queries: int = Field(default=256, ge=1, description="Most queries in one request.")
    max_query_characters: int = Field(default=20_000, ge=1, description="Longest query text.")
    max_body_bytes: int = Field(default=16 << 20, ge=1024, description="Largest request body.")
    watch_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of queries repeated exactly to estimate live recall; 0 for none."
    )
    watch_budget: float = Field(
        default=0.05, gt=0, le=1, description="Share of one core that the repetitions may take."
    )
    shutdown_seconds: int = Field(default=10, ge=0, description="How long a stopping service waits for open requests.")
    access_log: bool = Field(default=False, description="Log every request; more than halves the throughput.")
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        default="info", description="What is logged: critical, error, warning, info or debug."
    )
