"""``kill -9`` at random moments of updates and compactions: no acknowledged update is lost, no partial batch seen.

In each trial, one process upserts and deletes, and reports what was acknowledged; another compacts repeatedly. Both are
killed at a random moment. What is left must be the acknowledged state, or that plus the batch in flight.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import save
from indexer import BuildOptions, Corpus, Document, Generations, Index, SearchOptions, build_index
from indexer.building.compact import compact_index
from indexer.storage.manifest import Manifest
from indexer.updates import Updates, update_facts
from models import load_encoder
from service.demo.docstrings import read_docstrings

BATCH = 20
QUERY = "parse a json string into python objects"


def batch(number: int) -> tuple[list[Document], list[str]]:
    """What step ``number`` upserts and deletes: of 300 ids, some are added, some replaced, some deleted."""
    moments = random.Random(number)
    ids = moments.sample(range(300), BATCH)
    documents = [Document(f"new {i}", f"text {i} of step {number}", {"step": number}) for i in ids[: BATCH - 5]]
    return documents, [f"new {i}" for i in ids[BATCH - 5 :]]


def write(root: Path) -> None:
    with Updates.open(root) as updates:
        for number in range(1_000_000):
            documents, gone = batch(number)
            updates.upsert(documents)
            updates.delete(gone)
            print(number, flush=True)


def compact(root: Path) -> None:
    while True:
        compact_index(root)


def states(last: int) -> list[dict[str, int]]:
    """The step that wrote each document, after ``last`` acknowledged steps and after each half of the next."""
    state: dict[str, int] = {}
    for number in range(last + 1):
        documents, gone = batch(number)
        state.update({one.id: number for one in documents})
        for identifier in gone:
            state.pop(identifier, None)
    documents, gone = batch(last + 1)
    half = {**state, **{one.id: last + 1 for one in documents}}
    return [state, half, {one: step for one, step in half.items() if one not in gone}]


def found(root: Path) -> tuple[dict[str, int], Any]:
    with Index.open(root) as index:
        hits = index.search([QUERY], SearchOptions(k=len(index), dims=index.dimension)).hits[0]
        assert len({hit.id for hit in hits}) == len(hits) == len(index) == update_facts(root).documents
        new = {hit.id: hit.payload["step"] for hit in hits if hit.id.startswith("new ")}
        assert len(hits) - len(new) == 2000
        return new, [(hit.id, hit.score) for hit in hits]


def trial(root: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.kill_updates", "--root", str(root), "--child"]
    with (
        subprocess.Popen([*command, "write"], stdout=subprocess.PIPE, text=True) as writer,
        subprocess.Popen([*command, "compact"]) as compactor,
    ):
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline())]
        time.sleep(seconds)
        writer.kill()
        compactor.kill()
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    last = acknowledged[-1]
    state, hits = found(root)
    assert state in states(last), "an acknowledged update is lost, or half a batch is seen"
    generations = Generations(root)
    name = generations.require_published()
    assert Manifest.read(generations.path(name)).differing_files(generations.path(name)) == []
    compact_index(root)
    assert found(root) == (state, hits), "a compaction changed what is found"
    return {"seconds": round(seconds, 2), "acknowledged_steps": last + 1, "generation": name}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--child", choices=("write", "compact"))
    options = parser.parse_args()
    if options.child:
        {"write": write, "compact": compact}[options.child](options.root)
        return
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = [{"_id": one.name, "text": one.text} for one in read_docstrings(2000)]
        (root / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        build_index(Corpus([root / "corpus.jsonl"]), load_encoder("wordllama"), root / "built", BuildOptions())
        trials = []
        for _ in range(options.kills):
            shutil.rmtree(root / "index", ignore_errors=True)
            shutil.copytree(root / "built", root / "index")
            trials.append(trial(root / "index", moments.uniform(0.1, 6)))
            print(trials[-1], file=sys.stderr)
    save("kill_updates", {"rows": len(rows), "batch": BATCH, "trials": trials})


if __name__ == "__main__":
    main()
