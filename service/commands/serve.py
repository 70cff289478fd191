"""``mrl serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from indexer import Generations
from models.errors import InvalidOptionError


def _help(name: str) -> str:
    from service.settings import Settings

    field = Settings.model_fields[name]
    default = "" if field.is_required() or field.default in (None, ()) else f" [default: {field.default}]"
    return f"{field.description} [env: MRL_{name.upper()}]{default}"


def serve(
    index: Annotated[
        Path | None, typer.Argument(help="The index directory. [env: MRL_INDEX]", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help=_help("model"))] = None,
    device: Annotated[str | None, typer.Option(help=_help("device"))] = None,
    host: Annotated[str | None, typer.Option(help=_help("host"))] = None,
    port: Annotated[int | None, typer.Option(help=_help("port"))] = None,
    threads: Annotated[int | None, typer.Option(help=_help("threads"))] = None,
    max_pending: Annotated[int | None, typer.Option(help=_help("max_pending"))] = None,
    max_wait_milliseconds: Annotated[float | None, typer.Option(help=_help("max_wait_milliseconds"))] = None,
    max_batch: Annotated[int | None, typer.Option(help=_help("max_batch"))] = None,
    max_k: Annotated[int | None, typer.Option(help=_help("max_k"))] = None,
    max_candidates: Annotated[int | None, typer.Option(help=_help("max_candidates"))] = None,
    max_effort: Annotated[int | None, typer.Option(help=_help("max_effort"))] = None,
    max_queries: Annotated[int | None, typer.Option(help=_help("max_queries"))] = None,
    max_query_characters: Annotated[int | None, typer.Option(help=_help("max_query_characters"))] = None,
    max_images: Annotated[int | None, typer.Option(help=_help("max_images"))] = None,
    max_image_pixels: Annotated[int | None, typer.Option(help=_help("max_image_pixels"))] = None,
    max_inputs: Annotated[int | None, typer.Option(help=_help("max_inputs"))] = None,
    max_input_characters: Annotated[int | None, typer.Option(help=_help("max_input_characters"))] = None,
    any_dimensions: Annotated[bool | None, typer.Option(help=_help("any_dimensions"))] = None,
    classifier: Annotated[str | None, typer.Option(help=_help("classifier"))] = None,
    max_body_bytes: Annotated[int | None, typer.Option(help=_help("max_body_bytes"))] = None,
    watch_share: Annotated[float | None, typer.Option(help=_help("watch_share"))] = None,
    watch_budget: Annotated[float | None, typer.Option(help=_help("watch_budget"))] = None,
    verify_on_open: Annotated[str | None, typer.Option(help=_help("verify_on_open"))] = None,
    wait: Annotated[bool | None, typer.Option(help=_help("wait"))] = None,
    follow_seconds: Annotated[float | None, typer.Option(help=_help("follow_seconds"))] = None,
    compact_after: Annotated[int | None, typer.Option(help=_help("compact_after"))] = None,
    keep_generations: Annotated[int | None, typer.Option(help=_help("keep_generations"))] = None,
    drain_seconds: Annotated[float | None, typer.Option(help=_help("drain_seconds"))] = None,
    shutdown_seconds: Annotated[int | None, typer.Option(help=_help("shutdown_seconds"))] = None,
    auth: Annotated[str | None, typer.Option(help=_help("auth"))] = None,
    keys: Annotated[Path | None, typer.Option(help=_help("keys"))] = None,
    api_key_file: Annotated[Path | None, typer.Option(help=_help("api_key_file"))] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help=_help("tls_certificate"))] = None,
    tls_key: Annotated[Path | None, typer.Option(help=_help("tls_key"))] = None,
    allowed_hosts: Annotated[list[str] | None, typer.Option(help=_help("allowed_hosts"))] = None,
    cors_origins: Annotated[list[str] | None, typer.Option(help=_help("cors_origins"))] = None,
    access_log: Annotated[bool | None, typer.Option(help=_help("access_log"))] = None,
    log_format: Annotated[str | None, typer.Option(help=_help("log_format"))] = None,
    traces: Annotated[bool | None, typer.Option(help=_help("traces"))] = None,
    log_level: Annotated[str | None, typer.Option(help=_help("log_level"))] = None,
) -> None:
    """Serve an index over HTTP. A flag wins over its environment variable."""
    from service.http.server import serve as run
    from service.settings import Settings

    given: dict[str, Any] = {name: value for name, value in locals().items() if name in Settings.model_fields}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        if problem["type"] == "missing":
            raise InvalidOptionError(name, "no index given: name its directory, or set MRL_INDEX") from None
        message = f"{name} {problem['input']!r}: {problem['msg']} (flag --{name.replace('_', '-')}, MRL_{name.upper()})"
        raise InvalidOptionError(name, message) from None
    if not settings.wait:
        Generations(settings.index).require_published()
    run(settings)
