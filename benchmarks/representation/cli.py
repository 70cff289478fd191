"""The command: ``python -m benchmarks.representation [--seeds 3] [--epochs 4] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import RESULTS, data_file, machine
from benchmarks.representation.config import DATA, FAMILY, REST, WHOLE, Settings
from benchmarks.representation.plot import IMAGES, plot_all
from benchmarks.representation.run import measure_seed
from benchmarks.representation.tables import summary, text
from models.classifier.text_data import ClassificationData
from models.data.labelled_texts import read_labelled, split_labelled
from models.data.rows import Row, read_rows
from models.encoders.load import load_encoder


def main() -> None:
    """Measure every seed, write results and charts, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.representation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=len(Settings().seeds))
    parser.add_argument("--epochs", type=int, help="default: that of the configuration")
    parser.add_argument("--out", type=Path, help="folder of results and pictures; default: those of the project")
    options = parser.parse_args()
    training: dict[str, Any] = {"epochs": options.epochs} if options.epochs else {}
    settings = Settings(seeds=tuple(range(options.seeds)), training={**Settings().training, **training})
    started = time.perf_counter()
    parts = split_labelled(read_labelled([data_file(DATA)]).items, 0.05, seed=0)
    data = ClassificationData.prepare(parts, load_encoder(settings.base))
    family = texts_of(data_file(DATA), FAMILY)
    outside = np.array([item.text not in family for item in parts["test"]])
    views = {WHOLE: np.ones(len(outside), bool), REST: outside}
    runs = [measure_seed(data, views, settings, seed) for seed in settings.seeds]
    results = summary(runs, settings)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    written = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "seconds": time.perf_counter() - started,
        "data": {
            "file": DATA,
            "labels": len(data.labels),
            **data.counts(),
            "test": {view: int(rows.sum()) for view, rows in views.items()},
        },
        "settings": {"nesting": settings.nesting.to_json(), "base": settings.base, "training": settings.training},
        **results,
        "runs": runs,
    }
    path = (options.out or RESULTS) / "representation.json"
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    plot_all(results, runs, REST, options.out or IMAGES)
    print(text(results))


def texts_of(path: Path, family: str) -> set[str]:
    """The texts of rows whose id starts with the name of a family."""
    rows = (row.fields for row in read_rows(path) if isinstance(row, Row))
    return {fields["text"].strip() for fields in rows if fields["id"].startswith(family)}


if __name__ == "__main__":
    main()
