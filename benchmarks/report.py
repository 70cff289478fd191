"""Where results are written, and the machine that produced them."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.storage.manifest import library_versions

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """The environment that figures depend on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "versions": library_versions()}


def save(name: str, results: dict[str, Any]) -> None:
    """Write ``results/NAME.json`` and print it."""
    RESULTS.mkdir(exist_ok=True)
    content = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), **results}
    text = json.dumps(content, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def data_file(name: str) -> Path:
    """Find a data set below MRL_DATA_DIR, or exit saying what to set."""
    root = os.environ.get("MRL_DATA_DIR")
    if not root:
        sys.exit("set MRL_DATA_DIR to the folder that holds packages.parquet, cranfield/ and cisi/")
    path = Path(root) / name
    if not path.exists():
        sys.exit(f"{path} does not exist: MRL_DATA_DIR is {root}")
    return path
