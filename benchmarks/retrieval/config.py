"""What is measured: the data sets, the structures, and the knobs tried for each."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

K = 10
QUERIES = 1000
TRUTH = 100
ROUNDS = 3
TARGETS = (0.90, 0.95, 0.99)
REFERENCE = "faiss-hnsw32"
"""The reference for speed and memory: FAISS HNSW, float32, full dimension."""

Knob = dict[str, int | float]


@dataclass(frozen=True)
class DataSet:
    """A corpus and the encoder that turns it into vectors.

    Attributes:
        encoder: a key of :data:`benchmarks.retrieval.encoders.ENCODERS`.
        dimension: D.
        rows: number of rows, from the start of the shuffled corpus.
        compared: numbers of rows at which all structures are measured.
        growth: numbers of rows at which those of :data:`GROWING` are measured in addition; for large ones, those of
            :data:`QUICKLY_BUILT` too.
        options: build arguments that depend on the data, by structure.
    """

    name: str
    title: str
    encoder: str
    dimension: int
    rows: int
    compared: int
    growth: tuple[int, ...]
    options: dict[str, dict[str, Any]]


BUILD_EFFORT = 800
"""Build effort of our graphs, chosen so that building over 1,024 dimensions takes about as long as FAISS HNSW."""
CORPUS_ROWS = 963_318
DATA_SETS = {
    one.name: one
    for one in (
        DataSet(
            "a",
            "package descriptions, wordllama, 256-d",
            "wordllama",
            256,
            CORPUS_ROWS,
            100_000,
            (10_000, CORPUS_ROWS),
            {
                "ours": {
                    "sizes": (64, 128, 256),
                    "dims": 256,
                    "shortlist": "symqg",
                    "bits": 8,
                    "build_effort": BUILD_EFFORT,
                    "storage": "float16",
                },
                "ours-small": {
                    "sizes": (64, 128, 256),
                    "dims": 128,
                    "shortlist": "symqg",
                    "bits": 8,
                    "build_effort": BUILD_EFFORT,
                    "storage": "int8",
                },
                "naive": {"prefix": 64},
            },
        ),
        DataSet(
            "b",
            "package descriptions, static Matryoshka model of `mrl train`, 1024-d",
            "static1024",
            1024,
            CORPUS_ROWS,
            100_000,
            (10_000, CORPUS_ROWS),
            {
                "ours": {
                    "sizes": (64, 128, 256, 512, 1024),
                    "dims": 1024,
                    "shortlist": "symqg",
                    "bits": 8,
                    "build_effort": BUILD_EFFORT,
                    "storage": "float16",
                },
                "ours-small": {
                    "sizes": (64, 128, 256, 512, 1024),
                    "dims": 224,
                    "shortlist": "symqg",
                    "bits": 8,
                    "build_effort": BUILD_EFFORT,
                    "storage": "int8",
                },
                "naive": {"prefix": 256},
            },
        ),
        DataSet(
            "c",
            "package descriptions, all-MiniLM-L6-v2 (not Matryoshka-trained), 384-d",
            "minilm",
            384,
            100_000,
            100_000,
            (10_000,),
            {
                "ours": {
                    "sizes": (128, 192, 384),
                    "dims": 384,
                    "shortlist": "symqg",
                    "bits": 8,
                    "build_effort": BUILD_EFFORT,
                    "storage": "float16",
                },
                "ours-small": {
                    "sizes": (128, 192, 384),
                    "dims": 192,
                    "shortlist": "symqg",
                    "bits": 8,
                    "build_effort": BUILD_EFFORT,
                    "storage": "int8",
                },
                "naive": {"prefix": 128},
            },
        ),
    )
}


@dataclass(frozen=True)
class Structure:
    """A structure in the comparison.

    Attributes:
        name: used for files and in results.
        title: used in plots and tables.
        kind: a key of :data:`benchmarks.retrieval.builds.KINDS`.
        knobs: search arguments, cheapest first; the ladder ends once every neighbour is found.
        options: build arguments.
    """

    name: str
    title: str
    kind: str
    knobs: tuple[Knob, ...]
    options: dict[str, Any] = field(default_factory=dict)


def _steps(name: str, values: tuple[int, ...], **fixed: int) -> tuple[Knob, ...]:
    return tuple({name: value, **fixed} for value in values)


_EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 900, 1280, 2500)
_PROBES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_PROMISES = tuple({"recall": r} for r in (0.8, 0.84, 0.86, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995))

STRUCTURES = {
    one.name: one
    for one in (
        Structure("ours", "this project", "ours", _PROMISES),
        Structure("ours-small", "this project, in little memory", "ours", _PROMISES),
        Structure("faiss-hnsw32", "FAISS HNSW M=32", "faiss-hnsw", _steps("effort", _EFFORTS), {"degree": 32}),
        Structure("faiss-hnsw16", "FAISS HNSW M=16", "faiss-hnsw", _steps("effort", _EFFORTS), {"degree": 16}),
        Structure(
            "faiss-hnsw32-sq8",
            "FAISS HNSW M=32 SQ8, exact rerank of 20",
            "faiss-hnsw-sq8",
            _steps("effort", _EFFORTS[2:], keep=20),
            {"degree": 32},
        ),
        Structure(
            "faiss-ivfpq",
            "FAISS IVF-PQ FastScan, refined",
            "faiss-ivfpq",
            tuple({"probes": probes, "keep": keep} for probes in _PROBES for keep in (50, 200, 500)),
        ),
        Structure("faiss-panorama", "FAISS Panorama, flat", "faiss-panorama", ({},), {"levels": 8}),
        Structure(
            "faiss-hnsw32-panorama",
            "FAISS HNSW M=32, Panorama",
            "faiss-hnsw-panorama",
            _steps("effort", _EFFORTS),
            {"degree": 32, "levels": 8},
        ),
        Structure("hnswlib", "hnswlib M=32", "hnswlib", _steps("effort", _EFFORTS), {"degree": 32}),
        Structure("usearch", "usearch M=32", "usearch", _steps("effort", _EFFORTS), {"degree": 32}),
        Structure("svs", "SVS Vamana R=64", "svs", _steps("effort", _EFFORTS), {"degree": 64}),
        Structure("symqg", "SymphonyQG, degree 32", "symqg", _steps("effort", _EFFORTS), {"degree": 32}),
        Structure(
            "symqg-800",
            "SymphonyQG, built with 800",
            "symqg",
            _steps("effort", _EFFORTS),
            {"degree": 32, "build_effort": BUILD_EFFORT},
        ),
        Structure(
            "naive",
            "naive adaptive retrieval: FAISS HNSW M=32 on a prefix, K=200, rerank",
            "naive",
            _steps("effort", _EFFORTS[8:12], keep=200),
            {"degree": 32},
        ),
        Structure("faiss-flat", "FAISS flat", "faiss-flat", ({},)),
    )
}
GROWING = ("ours", "ours-small", "faiss-hnsw32", "symqg", "symqg-800")
QUICKLY_BUILT = ("naive", "faiss-flat", "faiss-ivfpq", "faiss-hnsw32-sq8")
"""Peers also measured at a million rows, where another graph would take half an hour to build."""
_MANY = 500_000


CORES = os.cpu_count() or 1


def jobs(data_set: DataSet) -> list[tuple[int, list[Structure]]]:
    """Return what is built and measured: (rows, structures)."""
    growing = [STRUCTURES[name] for name in GROWING]
    many = growing + [STRUCTURES[name] for name in QUICKLY_BUILT]
    growth = [(rows, many if rows > _MANY else growing) for rows in data_set.growth]
    return [(data_set.compared, list(STRUCTURES.values())), *growth]


def cache_folder(given: Path | None = None) -> Path:
    """Return the folder of vectors, models and structures: the given one, else MRL_BENCH_DIR, else ``.bench``."""
    folder = given or Path(os.environ.get("MRL_BENCH_DIR", ".bench"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
