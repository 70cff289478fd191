"""``kill -9`` at random moments of a build: the earlier generation still answers, and the rerun finishes identically.

Each trial starts from an index with a published generation, builds a larger corpus into it with the user's command,
kills that at a random moment, and checks what is left.
"""

import argparse
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import save
from indexer import Index, SearchOptions
from indexer.storage.manifest import Manifest
from service.demo.docstrings import read_docstrings

QUERY = "parse a json string into python objects"


def command(corpus: Path, out: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "service",
        "index",
        "build",
        str(corpus),
        "--out",
        str(out),
        "--batch-size",
        "512",
        "--json",
    ]


def build(corpus: Path, out: Path) -> dict[str, Any]:
    quiet = subprocess.run(command(corpus, out), check=True, capture_output=True, text=True)
    return json.loads(quiet.stdout)


def content(out: Path) -> tuple[Any, ...]:
    """What must be identical however often a build was killed. A graph's links depend on the timing of threads."""
    with Index.open(out) as index:
        folder, hits = index.opened.path, index.search([QUERY], SearchOptions(dims=index.dimension)).hits
        manifest = Manifest.read(folder)
        assert manifest.differing_files(folder) == []
    connection = sqlite3.connect(folder / "documents.sqlite")
    documents = connection.execute("SELECT row, id, payload FROM documents ORDER BY row").fetchall()
    connection.close()
    return manifest.files["vectors.npy"].sha256, manifest.files["prefix_norms.f32"].sha256, documents, hits


def answers(out: Path) -> Any:
    with Index.open(out) as index:
        return index.generation, index.search([QUERY]).hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        documents = [{"_id": one.name, "text": one.text} for one in read_docstrings(options.rows)]
        for name, rows in (("old", documents[:1000]), ("new", documents)):
            (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        build(root / "old.jsonl", root / "published")
        before = answers(root / "published")
        started = time.monotonic()
        build(root / "new.jsonl", root / "whole")
        duration = time.monotonic() - started
        expected = content(root / "whole")
        trials = []
        for _ in range(options.kills):
            out = root / "index"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(root / "published", out)
            moment = moments.uniform(0.02, 1.0) * duration
            process = subprocess.Popen(
                command(root / "new.jsonl", out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            killed = process.returncode == -signal.SIGKILL
            # If the kill came after the new generation was published, it must be complete.
            served = "earlier" if answers(out) == before else "new"
            assert served == "earlier" or content(out) == expected, "neither generation answers as it should"
            result = build(root / "new.jsonl", out)
            assert content(out) == expected, "the rerun finished with other content"
            trials.append(
                {"seconds": round(moment, 2), "killed": killed, "served": served, "resumed_rows": result["resumed"]}
            )
            print(trials[-1], file=sys.stderr)
    save("kill_build", {"rows": len(documents), "undisturbed_seconds": round(duration, 2), "trials": trials})


if __name__ == "__main__":
    main()
