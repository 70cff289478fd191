"""Pin the requirements of the images from pyproject.toml, as pip resolves them here: ``python docker/pin.py``.

``requirements-serve.txt`` suffices to build and serve an index with a static model; ``requirements-full.txt`` adds
training and transformer models. Only names and versions are written: where packages come from is configured in pip.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
TRAINING = ("matplotlib", "scikit-learn", "sentence-transformers", "torch")
"""Imported only by training, evaluation and transformer models."""
TORCH = "torch==2.13.0"


def main() -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everything = project["dependencies"]
    served = [requirement for requirement in everything if not requirement.startswith(TRAINING)]
    traces = project["optional-dependencies"]["traces"]
    for name, wanted in (("serve", [*served, *traces]), ("full", [*everything, *traces, TORCH])):
        lines = sorted(f"{package}=={version}" for package, version in resolved(wanted).items())
        (FOLDER / f"requirements-{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"requirements-{name}.txt: {len(lines)} packages")


def resolved(wanted: list[str]) -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = json.loads(subprocess.run([*command, *wanted], check=True, capture_output=True).stdout)
    # The local part of a version, such as torch's +cpu, is a choice of build and is not pinned.
    return {
        item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"].split("+")[0]
        for item in report["install"]
    }


if __name__ == "__main__":
    main()
