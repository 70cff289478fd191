"""Cached structures: each is built once, in its own process, with all cores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.retrieval import faiss_peers, peers
from benchmarks.retrieval.config import CORES, DATA_SETS, STRUCTURES, DataSet, Structure
from benchmarks.retrieval.data import Data
from benchmarks.retrieval.ours import Ours
from benchmarks.retrieval.peers import Peer
from benchmarks.retrieval.processes import Clock, Memory, isolated

KINDS: dict[str, type[Peer]] = {
    "ours": Ours,
    "faiss-flat": faiss_peers.Flat,
    "faiss-panorama": faiss_peers.FlatPanorama,
    "faiss-hnsw": faiss_peers.Hnsw,
    "faiss-hnsw-panorama": faiss_peers.HnswPanorama,
    "faiss-hnsw-sq8": faiss_peers.HnswSq8,
    "faiss-ivfpq": faiss_peers.IvfPq,
    "naive": faiss_peers.NaiveAdaptive,
    "hnswlib": peers.HnswLib,
    "usearch": peers.USearch,
    "svs": peers.Vamana,
    "symqg": peers.SymphonyQG,
}
_RECORD = "build.json"


def folder(cache: Path, data_set: DataSet, rows: int, structure: Structure) -> Path:
    """Return the folder of a structure, built or not."""
    return cache / "structures" / f"{data_set.name}-{rows}" / structure.name


def record(cache: Path, data_set: DataSet, rows: int, structure: Structure) -> dict[str, Any] | None:
    """Return the record of a build, None if there is none."""
    path = folder(cache, data_set, rows, structure) / _RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def ensure(cache: Path, data_set: DataSet, rows: int, structure: Structure) -> dict[str, Any]:
    """Build a structure unless it exists; return the record of the build.

    Raises:
        NotImplementedError: the structure cannot be built yet.
        BrokenProcessPool: the library crashed.
    """
    known = record(cache, data_set, rows, structure)
    return known or isolated(_build, cache, data_set.name, rows, structure.name)


def _build(cache: Path, set_name: str, rows: int, name: str) -> dict[str, Any]:
    data_set, structure = DATA_SETS[set_name], STRUCTURES[name]
    data = Data(data_set, cache)
    vectors = data.vectors(rows)
    options = {**structure.options, **data_set.options.get(name, {})}
    kind = KINDS[structure.kind]
    learned = {"queries": data.queries("calibration")} if kind.calibrated else {}
    before, clock = Memory.now(), Clock()
    peer = kind.build(vectors, CORES, **options, **learned)
    measured, after = clock.read(), Memory.now()
    out = folder(cache, data_set, rows, structure)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    peer.save(out)
    result = {
        **measured,
        "threads": CORES,
        "options": options,
        "disk_bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        "memory_bytes": after.anonymous - before.anonymous,
    }
    # Written last: its presence means that the structure is complete.
    (out / _RECORD).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result
