"""The command: ``python -m benchmarks.representation [--seeds 3] [--epochs 4] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, data_file, machine
from benchmarks.representation.config import DATA, Settings
from benchmarks.representation.plot import IMAGES, plot_all
from benchmarks.representation.run import measure_seed
from benchmarks.representation.tables import summary, text
from models.classification_data import ClassificationData
from models.encoders import load_encoder
from models.labelled import read_labelled, split_labelled


def main() -> None:
    """Measure every seed, write results and pictures, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.representation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=len(Settings().seeds))
    parser.add_argument("--epochs", type=int, help="default: that of the configuration")
    parser.add_argument("--out", type=Path, help="folder of results and pictures; default: those of the project")
    options = parser.parse_args()
    training: dict[str, Any] = {"epochs": options.epochs} if options.epochs else {}
    settings = Settings(seeds=tuple(range(options.seeds)), training={**Settings().training, **training})
    started = time.perf_counter()
    items = read_labelled([data_file(DATA)]).items
    data = ClassificationData.prepare(split_labelled(items, 0.05, seed=0), load_encoder(settings.base))
    runs = [measure_seed(data, settings, seed) for seed in settings.seeds]
    results = summary(runs, settings)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    written = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "seconds": time.perf_counter() - started,
        "data": {"file": DATA, "labels": len(data.labels), "test": len(data.test_targets), **data.counts()},
        "settings": {"nesting": settings.nesting.to_json(), "base": settings.base, "training": settings.training},
        **results,
        "runs": runs,
    }
    path = (options.out or RESULTS) / "representation.json"
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    plot_all(results, runs, options.out or IMAGES)
    print(text(results))


if __name__ == "__main__":
    main()
