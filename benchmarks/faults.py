"""Bits flipped at random places of an index: every change is detected or harmless, never a silent wrong answer.

A trial flips one bit in a file of the generation, in CURRENT or in the journal. The index is then verified as by
``mrl index verify``, and opened and searched as by a service. The trial must end in an error that names the file or, if
the byte is meaningless (in an unused page of SQLite, for example), in the same answers and the same journal as before.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import save
from indexer import (
    BuildOptions,
    BundleError,
    Corpus,
    Document,
    Generations,
    Index,
    LexicalOptions,
    SearchOptions,
    build_index,
)
from indexer.storage.journal import Journal
from indexer.storage.journal_file import FOLDER
from indexer.storage.manifest import Manifest
from models import load_encoder
from models.encoders.base import Encoder
from service.demo.docstrings import read_docstrings


def files_of(root: Path) -> list[Path]:
    """Every non-empty file of an index that searches or updates read."""
    generations = Generations(root)
    folder = generations.path(generations.require_published())
    files = [root / "CURRENT", *folder.iterdir(), *(root / FOLDER).iterdir()]
    return sorted(path for path in files if path.stat().st_size and not path.name.endswith(("-wal", "-shm")))


def verified(root: Path) -> None:
    """Verify as ``mrl index verify`` does."""
    generations = Generations(root)
    folder = generations.path(generations.require_published())
    Manifest.read(folder).check(folder)
    with closing(Journal(root)) as journal:
        journal.verify()


@dataclass
class State:
    """The answers of an index, and the contents of its journal."""

    hits: Any
    operations: Any

    @classmethod
    def of(cls, root: Path, encoder: Encoder, queries: Sequence[str]) -> "State":
        with Index.open(root, encoder=encoder, verify="all") as index, closing(Journal(root)) as journal:
            found = [index.search(queries, SearchOptions(k=10, dims=dims)).hits for dims in (None, index.dimension)]
            name = index.generation
            return cls(found, (journal.start_of(name), list(journal.pages(journal.start_of(name)))))


@contextmanager
def damaged(path: Path, place: int, bit: int) -> Iterator[None]:
    """Flip a bit for the duration of the block."""
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    try:
        yield
    finally:
        path.write_bytes(whole)
        for left in ("-wal", "-shm"):
            path.with_name(path.name + left).unlink(missing_ok=True)


def trial(root: Path, path: Path, place: int, bit: int, before: State, encoder: Encoder, queries: Sequence[str]) -> str:
    """Damage a place and return the outcome: ``refused`` or ``harmless``.

    Raises:
        AssertionError: the damage changed an answer, or the error does not name the file.
    """
    steps: tuple[Callable[[], Any], ...] = (lambda: verified(root), lambda: State.of(root, encoder, queries))
    with damaged(path, place, bit):
        found = [_found(step, path, before) for step in steps]
    # Files outside the generation may have meaningless bytes, but both checks must agree.
    right = ["refused"] * 2 if path.parent.name.isdecimal() else found[:1] * 2
    assert found == right, f"{path.relative_to(root)}, byte {place}, bit {bit}: {found}"
    return found[0]


def _found(step: Callable[[], Any], path: Path, before: State) -> str:
    try:
        after = step()
    except BundleError as error:
        return "refused" if path.name in str(error) else f"refused without its name: {error}"
    return "harmless" if after in (None, before) else "other answers"


def trials(root: Path, encoder: Encoder, queries: Sequence[str], count: int, seed: int) -> dict[str, Counter[str]]:
    """Damage ``count`` random places, equally many in each file; return the outcomes by file."""
    moments = random.Random(seed)
    before = State.of(root, encoder, queries)
    files = files_of(root)
    results: dict[str, Counter[str]] = {path.name: Counter() for path in files}
    for number in range(count):
        path = files[number % len(files)]
        place, bit = moments.randrange(path.stat().st_size), moments.randrange(8)
        results[path.name][trial(root, path, place, bit, before, encoder, queries)] += 1
    assert State.of(root, encoder, queries) == before
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=2000, help="places that are damaged")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results = {}
    encoder = load_encoder("wordllama")
    rows = list(read_docstrings(2000))
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        corpus.write_text("".join(json.dumps({"_id": one.name, "text": one.text}) + "\n" for one in rows))
        for kind in ("hnsw", "symqg"):
            root = Path(folder) / kind
            build_index(Corpus([corpus]), encoder, root, BuildOptions(shortlist=kind, lexical=LexicalOptions()))
            with Index.open(root, encoder=encoder) as index:
                index.upsert([Document(f"new {i}", f"text {i} of an update", {"n": i}) for i in range(200)])
                index.delete([rows[0].name])
            found = trials(root, encoder, ["parse a json string", "text 7 of an update"], options.repeat, options.seed)
            results[kind] = {name: dict(counts) for name, counts in found.items()}
            print(kind, results[kind], file=sys.stderr)
    save("faults", {"places": options.repeat, "rows": len(rows), "found": results})


if __name__ == "__main__":
    main()
