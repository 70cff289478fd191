"""Settings of the service: one class is the source of environment variables, flag defaults and documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from indexer.search.generation import Verify


def _split(value: str | Iterable[str]) -> list[str]:
    values = [value] if isinstance(value, str) else value
    return [part.strip() for one in values for part in one.split(",") if part.strip()]


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"https?://[^/\s*]+", value):
        raise ValueError("give origins such as https://example.com, without a path, or *")
    return value


# Separated by commas in an environment variable, and so or one by one as flags.
_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
_Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]


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
    max_wait_milliseconds: float = Field(
        default=100, gt=0, description="A request that would wait longer for a thread is answered 503 with Retry-After."
    )
    max_batch: int = Field(default=32, ge=1, le=1024, description="Most requests searched together.")
    max_k: int = Field(default=1000, ge=1, description="Largest k of a request.")
    max_candidates: int = Field(default=10_000, ge=1, description="Largest number of candidates of a request.")
    max_effort: int = Field(default=10_000, ge=1, description="Largest effort of a request.")
    max_queries: int = Field(default=256, ge=1, description="Most queries in one request.")
    max_query_characters: int = Field(default=20_000, ge=1, description="Longest query text.")
    max_images: int = Field(default=16, ge=1, description="Most images in one request.")
    max_image_pixels: int = Field(
        default=32_000_000, ge=1, description="Most pixels of all images in one request, 3 bytes of memory each."
    )
    max_inputs: int = Field(default=2048, ge=1, description="Most texts embedded or classified in one request.")
    max_input_characters: int = Field(
        default=2_000_000, ge=1, description="Most characters of all texts embedded or classified in one request."
    )
    any_dimensions: bool = Field(
        default=False, description="Give embeddings of any size, those that the model was not trained for too."
    )
    classifier: str | None = Field(
        default=None,
        description="Directory of a classifier that mrl train made; the index's own model where not given.",
    )
    max_body_bytes: int = Field(default=16 << 20, ge=1024, description="Largest request body.")
    watch_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of queries repeated exactly to estimate live recall; 0 for none."
    )
    watch_budget: float = Field(
        default=0.05, gt=0, le=1, description="Share of one core that the repetitions may take."
    )
    verify_on_open: Verify = Field(
        default="all",
        description="Files compared with their checksums before a generation is served: all, those that are loaded "
        "into memory, or none, where sizes alone are looked at.",
    )
    wait: bool = Field(default=False, description="Where no index is published yet, wait for one, unready till then.")
    follow_seconds: float = Field(
        default=1.0, ge=0, description="How often to look for a newly published generation; 0 for never."
    )
    compact_after: int = Field(
        default=50_000, ge=0, description="Updates after which they are folded into a new generation; 0 for never."
    )
    keep_generations: int = Field(default=2, ge=1, description="Generations a compaction leaves, its own counted.")
    drain_seconds: float = Field(
        default=0, ge=0, description="How long a stopping service is unready but answers, before it closes its port."
    )
    shutdown_seconds: int = Field(default=10, ge=0, description="How long a stopping service waits for open requests.")
    auth: Literal["keys", "off"] = Field(
        default="keys", description="keys: requests need an API key; off: whoever reaches the port may do everything."
    )
    keys: Path | None = Field(default=None, description="The file of API keys, made by mrl keys create.")
    api_key: SecretStr | None = Field(default=None, description="One more API key, of every scope.")
    api_key_file: Path | None = Field(default=None, description="A file that holds one more API key, of every scope.")
    tls_certificate: Path | None = Field(default=None, description="Certificate chain (PEM): HTTPS in place of HTTP.")
    tls_key: Path | None = Field(default=None, description="The certificate's private key (PEM).")
    allowed_hosts: _Names = Field(
        default=(), description="Host names requests may be for, such as *.example.com; any where none is given."
    )
    cors_origins: _Origins = Field(
        default=(), description="Origins whose pages may call the service from a browser; * for all."
    )
    access_log: bool = Field(default=False, description="Log every request, without its query.")
    log_format: Literal["text", "json"] = Field(default="text", description="Lines of the log: text or json.")
    traces: bool = Field(
        default=False, description="Send OpenTelemetry traces, as the OTEL_* environment variables say."
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        default="info", description="What is logged: critical, error, warning, info or debug."
    )
