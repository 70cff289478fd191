"""The files that this project adds to a sentence-transformers directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.nesting import Nesting

RECORD_NAME = "mrl.json"
"""Nesting, training options and metrics of a model that was trained here."""


def read_json(path: str | Path) -> Any:
    """Read a JSON file of a model directory.

    Raises:
        ModelError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def write_record(directory: str | Path, nesting: Nesting, **facts: Any) -> None:
    """Write ``mrl.json``: the nesting, and how the model was made."""
    record = {"format": 1, "nesting": nesting.to_json(), **facts}
    (Path(directory) / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def recorded_nesting(directory: str | Path) -> Nesting | None:
    """Return the nesting in a model directory's record, or None if the model was not trained here.

    Raises:
        ModelError: the record is broken.
    """
    path = Path(directory) / RECORD_NAME
    if not path.exists():
        return None
    record = read_json(path)
    try:
        return Nesting.from_json(record["nesting"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path} does not hold a nesting: {error!r}") from error


def checked_nesting(model: str, dimension: int, *found: Nesting | None) -> Nesting:
    """Return the first nesting that is not None, or ``Nesting.halving(dimension)``, after checking its last size.

    Raises:
        ModelError: the last size is not the model's dimension.
    """
    nesting = next((item for item in found if item is not None), None) or Nesting.halving(dimension)
    if nesting.dimension != dimension:
        raise ModelError(
            f"model {model!r} has {dimension} dimensions, but its nesting {list(nesting.sizes)} "
            f"ends at {nesting.dimension}"
        )
    return nesting
