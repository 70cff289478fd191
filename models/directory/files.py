"""The files of a model directory that this project adds or needs to understand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.nesting import Nesting

RECORD_NAME = "mrl.json"
"""Beside the sentence-transformers files: nesting, training options and metrics of a model trained here."""


def read_json(path: Path) -> Any:
    """Read a JSON file of a model.

    Raises:
        ModelError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def write_record(directory: Path, nesting: Nesting, **facts: Any) -> None:
    """Write ``mrl.json``: the nesting, and how the model came to be."""
    record = {"format": 1, "nesting": nesting.to_json(), **facts}
    (directory / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def recorded_nesting(directory: Path) -> Nesting | None:
    """Return the nesting a model directory records, or None where it was not trained here."""
    path = directory / RECORD_NAME
    if not path.exists():
        return None
    record = read_json(path)
    try:
        return Nesting.from_json(record["nesting"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path} does not hold a nesting: {error!r}") from error


def checked_nesting(model: str, dimension: int, *found: Nesting | None) -> Nesting:
    """Return the first nesting given, or halving from D, after checking that it ends at D.

    Raises:
        ModelError: the nesting's last size is not the model's dimension.
    """
    nesting = next((item for item in found if item is not None), None) or Nesting.halving(dimension)
    if nesting.dimension != dimension:
        raise ModelError(
            f"model {model!r} has {dimension} dimensions, but its nesting {list(nesting.sizes)} "
            f"ends at {nesting.dimension}"
        )
    return nesting
