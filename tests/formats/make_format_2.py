"""Makes the bundles of format 2 beside this file: ``format_2/*.tar.gz`` and what searches of them answered.

Run with version 0.1.0 at commit 1e2c4fc, the last that wrote format 2, from the root of that tree::

    PYTHONPATH=$PWD python THIS_FILE OUT

Later versions import the encoder and the options of the recorded searches, and write nothing with it.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from indexer import (
    BuildOptions,
    Corpus,
    Document,
    HybridOptions,
    Index,
    LexicalOptions,
    SearchOptions,
    Target,
    build_index,
    compact_index,
    parse_filter,
)
from models import Nesting, Prompts
from tests.conftest import DIMENSION, make_encoder, make_texts, write_lines

COUNT = 48
KILLED_AT = 24
QUERIES = ["w1 w2 w3", "w17 w255", "w42"]


class PixelEncoder:
    """Encodes images by a fixed projection of 8 × 8 pixels, and texts as the tiny encoder does."""

    def __init__(self) -> None:
        self._texts = make_encoder()
        self._projection = np.random.default_rng(5).normal(size=(64, DIMENSION)).astype(np.float32)
        self.name, self.dimension, self.nesting, self.prompts = (
            "pixels",
            DIMENSION,
            Nesting((8, 16, DIMENSION)),
            Prompts(),
        )
        self.content_hash = hashlib.sha256(b"pixels" + self._texts.content_hash.encode()).hexdigest()

    def encode_documents(self, texts):
        return self._texts.encode_documents(texts)

    def encode_queries(self, texts):
        return self._texts.encode_queries(texts)

    def encode_images(self, images):
        pixels = np.stack([np.asarray(image.convert("L"), np.float32).reshape(64) for image in images])
        vectors = (pixels - pixels.mean(axis=1, keepdims=True)) @ self._projection
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def corpus_rows() -> list[dict]:
    texts = make_texts(COUNT)
    return [
        {"_id": str(i), "title": text.split()[0], "text": text, "year": 1980 + i % 20, "tags": [f"t{i % 3}", "all"]}
        for i, text in enumerate(texts)
    ]


def search_options(facts: dict) -> SearchOptions:
    """The options of a recorded search."""
    facts = dict(facts)
    if "filter" in facts:
        facts["filter"] = parse_filter(facts["filter"])
    if facts.pop("hybrid", False):
        facts["hybrid"] = HybridOptions()
    return SearchOptions(**facts)


def record(index: Index, options: list[dict]) -> list[dict]:
    """Search and write down what is found."""
    cases = []
    for facts in options:
        for query in QUERIES:
            hits = index.search([query], search_options(facts)).hits[0]
            found = [[hit.id, hit.score, hit.payload] for hit in hits]
            cases.append({"query": query, "options": facts, "found": found})
    return cases


def make_plain(root: Path, corpus: Path) -> list[dict]:
    options = BuildOptions(dims=16, target=Target(recall=0.9, memory=10**8))
    build_index(Corpus([corpus]), make_encoder(), root, options)
    with Index.open(root, encoder=make_encoder()) as index:
        return record(index, [{"k": 5}, {"k": 5, "dims": 8, "candidates": 20}, {"k": 3, "recall": 0.9}])


def make_words(root: Path, corpus: Path) -> list[dict]:
    options = BuildOptions(
        dims=8, shortlist="hnsw", shortlist_values={"links": 8}, lexical=LexicalOptions(language="english")
    )
    built = build_index(Corpus([corpus]), make_encoder(), root, options)
    _add_plan(built.path)
    with Index.open(root, encoder=make_encoder()) as index:
        return record(index, [{"k": 10, "recall": 0.9}, {"k": 5, "candidates": 40}, {"k": 5, "hybrid": True}])


def _add_plan(generation: Path) -> None:
    """Add a plan with a stop rule and a second look, which calibration finds only in larger indexes."""
    from indexer.manifest import CalibratedPlan, Manifest
    from indexer.second_look import SecondLook

    from indexer.plan import FunnelStage

    manifest = Manifest.read(generation)
    plan = CalibratedPlan(
        k=10,
        structure="hnsw",
        dims=8,
        candidates=30,
        effort=40,
        stages=(FunnelStage(16, 20), FunnelStage(DIMENSION, 10)),
        recall=0.97,
        recall_low=0.95,
        milliseconds=0.0001,
        gap=0.25,
        second_look=SecondLook(0.5, 48),
    )
    calibration = manifest.calibration.model_copy(update={"plans": (plan, *manifest.calibration.plans)})
    manifest.model_copy(update={"calibration": calibration}).write(generation)


def make_filterable(root: Path, corpus: Path) -> list[dict]:
    build_index(Corpus([corpus]), make_encoder(), root, BuildOptions(filterable=("year", "tags"), vectors="int8"))
    with Index.open(root, encoder=make_encoder()) as index:
        return record(
            index, [{"k": 4, "filter": {"year": {"$gte": 1990}, "tags": "t1"}}, {"k": 4, "filter": {"title": "w1"}}]
        )


def make_journal(root: Path, corpus: Path) -> list[dict]:
    """Two generations, updates that the second has in it, and updates since."""
    build_index(Corpus([corpus]), make_encoder(), root, BuildOptions(lexical=LexicalOptions()))
    with Index.open(root, encoder=make_encoder()) as index:
        index.upsert([Document("before", "w1 w2 w3", {"text": "w1 w2 w3"})])
        index.delete(["0"])
        compact_index(root, encoder=make_encoder())
        index.upsert([Document(f"new {i}", f"w{i} w17", {"text": f"w{i} w17", "n": i}) for i in range(6)])
        index.upsert([Document("3", "w42 w43", {"text": "w42 w43"}), Document("no text", "w1 w2", {"n": 1})])
        index.delete(["5", "7", "new 2"])
    with Index.open(root, encoder=make_encoder()) as index:
        return record(index, [{"k": 6}, {"k": 6, "hybrid": True}])


def make_images(root: Path, corpus: Path) -> list[dict]:
    folder = corpus.with_name("digits")
    folder.mkdir()
    for number, pixels in enumerate(load_digits().images[:COUNT]):
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(folder / f"{number:02}.png")
    build_index(Corpus([folder]), PixelEncoder(), root)
    with Index.open(root, encoder=PixelEncoder()) as index:
        return record(index, [{"k": 5}])


def make_killed(root: Path, corpus: Path) -> list[dict]:
    """A published generation, and one whose build was killed with half of the rows encoded."""
    build_index(Corpus([corpus]), make_encoder(), root, BuildOptions(dims=16))
    with Index.open(root, encoder=make_encoder()) as index:
        expected = record(index, [{"k": 5}])

    def kill(event: str, facts: dict) -> None:
        if event == "encode" and facts["rows"] == KILLED_AT:
            os._exit(9)

    child = os.fork()
    if not child:
        options = BuildOptions(dims=16, filterable=("year",), lexical=LexicalOptions(), batch_size=KILLED_AT)
        build_index(Corpus([corpus]), make_encoder(), root, options, report=kill)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    return expected


def pack(folder: Path, out: Path) -> None:
    """Write a folder as a compressed archive of the same bytes whenever it is made."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, path.relative_to(folder).as_posix())
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            if entry.isfile():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    out.write_bytes(gzip.compress(plain.getvalue(), mtime=0))


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for make in (make_plain, make_filterable, make_journal, make_images, make_killed, make_words):
        name = make.__name__.removeprefix("make_")
        with tempfile.TemporaryDirectory() as scratch:
            corpus = write_lines(Path(scratch) / "corpus.jsonl", corpus_rows())
            expected = make(Path(scratch) / "index", corpus)
            pack(Path(scratch) / "index", out / f"{name}.tar.gz")
        (out / f"{name}.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
