"""Writes the OpenAPI document of the service to a file: ``python -m service.openapi docs/openapi.json``."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from service.app import create_app
from service.settings import Settings


def document() -> dict[str, Any]:
    """Return the document of a service that requires API keys, independent of the environment."""
    key = SecretStr(secrets.token_urlsafe(32))
    settings = Settings(index=Path("index"), auth="keys", keys=None, api_key=key, api_key_file=None)
    return create_app(settings).openapi()


def main() -> None:
    """Write the document to the file given as argument, or to standard output."""
    text = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
