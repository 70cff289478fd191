"""Settings of the service: the single source of environment variables, command-line flags and their help."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from indexer import Verify


def _split(value: str | Iterable[str]) -> list[str]:
    values = [value] if isinstance(value, str) else value
    return [part.strip() for item in values for part in item.split(",") if part.strip()]


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"https?://[^/\s*]+", value):
        raise ValueError("give origins such as https://example.com without a path, or *")
    return value


# Comma-separated in an environment variable; comma-separated or repeated as flags.
_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
_Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """How the service runs. A field that is not given is read from the environment variable ``MRL_<NAME>``.

    ``mrl serve`` has a flag for each field, ``--max-batch`` for ``max_batch``, except for ``api_key``::

        settings = Settings(index="/data/index", keys="/data/keys.json", max_batch=64)
        app = create_app(settings)

    Raises:
        ValidationError: a value outside what is allowed, or an unknown name.
    """

    model_config = SettingsConfigDict(env_prefix="MRL_", frozen=True, extra="forbid")

    index: Path = Field(description="The index directory.")
    model: str | None = Field(default=None, description="New location of the index's model, if it has moved.")
    device: str = Field(default="auto", description="Device that encodes queries: auto, cpu or cuda.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any free port.")
    threads: int = Field(default=2, ge=1, le=256, description="Number of search threads.")
    max_pending: int = Field(
        default=128,
        ge=1,
        description="Maximum number of requests running or queued; further ones get 503 with Retry-After.",
    )
    max_wait_milliseconds: float = Field(
        default=100,
        gt=0,
        description="Longest estimated time in the queue; a request that would wait longer gets 503 with Retry-After.",
    )
    max_batch: int = Field(default=32, ge=1, le=1024, description="Maximum number of requests searched as one batch.")
    max_k: int = Field(default=1000, ge=1, description="Largest k of a request.")
    max_candidates: int = Field(default=10_000, ge=1, description="Largest number of candidates of a request.")
    max_effort: int = Field(default=10_000, ge=1, description="Largest effort of a request.")
    max_queries: int = Field(default=256, ge=1, description="Maximum number of queries in one request.")
    max_query_characters: int = Field(default=20_000, ge=1, description="Longest query text.")
    max_images: int = Field(default=16, ge=1, description="Maximum number of images in one request.")
    max_image_pixels: int = Field(
        default=32_000_000,
        ge=1,
        description="Maximum number of pixels of all images in one request; a pixel takes 3 bytes of memory.",
    )
    max_inputs: int = Field(
        default=2048, ge=1, description="Maximum number of texts embedded or classified in one request."
    )
    max_input_characters: int = Field(
        default=2_000_000,
        ge=1,
        description="Maximum number of characters of all texts embedded or classified in one request.",
    )
    any_dimensions: bool = Field(
        default=False, description="Allow embeddings of any size, including those the model was not trained for."
    )
    classifier: str | None = Field(
        default=None,
        description="Directory of a classifier trained by mrl train; default: the index's model, if it is one.",
    )
    max_body_bytes: int = Field(default=16 << 20, ge=1024, description="Largest request body.")
    watch_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of queries to repeat with exact search to estimate live recall; 0 for none.",
    )
    watch_budget: float = Field(
        default=0.05, gt=0, le=1, description="Share of a core that the repeated queries may use."
    )
    verify_on_open: Verify = Field(
        default="all",
        description="Files whose checksums are verified before a generation is served: all, loaded (those loaded into "
        "memory) or sizes (only sizes are compared).",
    )
    wait: bool = Field(
        default=False, description="If no index is published yet, wait for one and report unready until then."
    )
    follow_seconds: float = Field(
        default=1.0, ge=0, description="How often to check for a newly published generation; 0 for never."
    )
    compact_after: int = Field(
        default=50_000,
        ge=0,
        description="Number of updates after which to compact them into a new generation; 0 for never.",
    )
    keep_generations: int = Field(
        default=2, ge=1, description="Number of generations to keep after a compaction, including the new one."
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        description="How long a stopping service reports unready but still answers, before it closes its port.",
    )
    shutdown_seconds: int = Field(default=10, ge=0, description="How long a stopping service waits for open requests.")
    auth: Literal["keys", "off"] = Field(
        default="keys",
        description="keys: requests require an API key; off: everyone who can reach the port may do everything.",
    )
    keys: Path | None = Field(default=None, description="File of API keys, created by mrl keys create.")
    api_key: SecretStr | None = Field(default=None, description="An additional API key, with every scope.")
    api_key_file: Path | None = Field(
        default=None, description="File that contains an additional API key, with every scope."
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM); switches from HTTP to HTTPS."
    )
    tls_key: Path | None = Field(default=None, description="Private key of the certificate (PEM).")
    allowed_hosts: _Names = Field(default=(), description="Allowed Host headers, such as *.example.com; default: any.")
    cors_origins: _Origins = Field(
        default=(), description="Origins whose pages may call the service from a browser (CORS); * for all."
    )
    access_log: bool = Field(default=False, description="Log every request, without its query.")
    log_format: Literal["text", "json"] = Field(default="text", description="Format of the log: text or json.")
    traces: bool = Field(
        default=False, description="Send OpenTelemetry traces, configured by the OTEL_* environment variables."
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        default="info", description="Log level: critical, error, warning, info or debug."
    )
