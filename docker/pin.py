"""Write the pinned requirements of the images from pyproject.toml, by what pip resolves here: ``python docker/pin.py``.

``requirements-serve.txt`` is what building and serving an index with a static model needs; ``requirements-full.txt``
adds what training and transformer models need. Only names and versions are written: where packages come from is pip's
configuration.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
TRAINING = ("matplotlib", "scikit-learn", "sentence-transformers", "torch")
"""What only training, evaluation and transformer models import."""
TORCH = "torch==2.13.0"


def main() -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everything = project["dependencies"]
    served = [one for one in everything if not one.startswith(TRAINING)]
    traces = project["optional-dependencies"]["traces"]
    for name, wanted in (("serve", [*served, *traces]), ("full", [*everything, *traces, TORCH])):
        lines = sorted(f"{package}=={version}" for package, version in resolved(wanted).items())
        (FOLDER / f"requirements-{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"requirements-{name}.txt: {len(lines)} packages")


def resolved(wanted: list[str]) -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = json.loads(subprocess.run([*command, *wanted], check=True, capture_output=True).stdout)
    # A local build, such as torch's for CPUs, is one choice of several for its version.
    return {
        one["metadata"]["name"].lower().replace("_", "-"): one["metadata"]["version"].split("+")[0]
        for one in report["install"]
    }


if __name__ == "__main__":
    main()
