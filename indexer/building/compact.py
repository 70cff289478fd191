"""Compaction: merging the updates of an index into a new generation.

Crash safety: the new generation is made in a folder without a name, which the next compaction discards. Once
it is complete, it gets its name together with the sequence number of the last update it contains, and is published.
Updates stay in the journal until no remaining generation needs them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from indexer.building.assemble import GenerationFacts, assemble, prepare
from indexer.calibration import CalibrationOptions
from indexer.calibration.run import calibrate, with_calibration
from indexer.calibration.structure import default_structure
from indexer.corpus import Place
from indexer.lexical import LexicalOptions
from indexer.progress import Copying, Publishing, Report, silent
from indexer.search.delta import Delta, DeltaView
from indexer.search.generation import OpenedGeneration
from indexer.shortlist import require_available
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import REJECTED, Documents, DocumentWriter, StoredDocument
from indexer.storage.generations import Generations
from indexer.storage.journal import PAGE, Journal
from indexer.storage.manifest import CalibrationFacts, Manifest, ShortlistFacts
from indexer.storage.recorded_model import RecordedModel
from indexer.storage.resource_errors import translating_resource_errors
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import StoredVectors, VectorWriter
from models.encoders.base import Encoder
from models.errors import InvalidOptionError

_MEMORY_ADVICE = "compact on a machine with more; a compaction needs as much as a build of the same size"


@dataclass(frozen=True, slots=True)
class CompactResult:
    """The outcome of a compaction.

    Attributes:
        generation: name of the published generation, a new one if there were updates; ``path`` is its folder.
        rows: number of documents in it.
        operations: number of merged updates.
        pruned: names of deleted older generations.
        given_queries_replaced: whether calibration now uses sampled queries, having used given ones before.
    """

    generation: str
    path: Path
    rows: int
    operations: int
    pruned: list[str]
    given_queries_replaced: bool = False


def compact_index(
    path: str | Path,
    *,
    keep: int = 2,
    encoder: Encoder | None = None,
    report: Report = silent,
) -> CompactResult:
    """Merge the published generation and the updates since into a new generation, and publish it.

    Stored vectors are copied, not encoded again. The shortlist structure and the lexical index are built as by a build,
    and the plans are calibrated again if they were. Searches and updates continue meanwhile; new updates apply to the
    new generation. If the process is killed at any moment, the published generation stays as it was, with all updates,
    and the next call starts over.

    Args:
        path: the index directory.
        keep: number of complete generations to keep, including the new one.
        encoder: the model of the index. Calibration samples queries from the documents' words with it, and from their
            vectors if None.
        report: receives progress events: ``Copying``, then those of a build.

    Raises:
        BundleBusyError: another process is changing the index.
        BundleError: nothing is published, a file is damaged or cannot be read or written, or the encoder is not the one
            the index was built with.
        OutOfMemoryError: there is not enough memory.
        InvalidOptionError: ``keep`` is less than 1, or this machine cannot build the structure.
    """
    if keep < 1:
        raise InvalidOptionError("keep", f"keep {keep}: give at least 1")
    root = Path(path)
    generations = Generations(root)
    generations.require_published()  # before the lock, which would create the directory
    with translating_resource_errors(root, _MEMORY_ADVICE), generations.locked(), closing(Journal(root)) as journal:
        try:
            return _Compaction(generations, journal, encoder, report).run(keep)
        except BaseException:
            # On a full disk, space for updates is worth more than half a generation.
            generations.drop_aside()
            raise


class _Compaction:
    def __init__(self, generations: Generations, journal: Journal, encoder: Encoder | None, report: Report) -> None:
        self.generations, self.journal, self.encoder, self.report = generations, journal, encoder, report
        self.name = generations.require_published()
        self.path = generations.path(self.name)
        self.manifest = Manifest.read(self.path)
        if encoder is not None:
            RecordedModel(
                generations.root, self.manifest.model, encoder, None, "auto"
            )  # checks that it is the model of the index

    def run(self, keep: int) -> CompactResult:
        start, until = self.journal.start_of(self.name), self.journal.last
        if until <= start:
            return CompactResult(self.name, self.path, self.manifest.rows, 0, [])
        require_available(self.manifest.shortlist.kind)
        # A damaged file must not get a new checksum. All other files are built again.
        self.manifest.check(self.path, (VECTORS, DOCUMENTS, REJECTED))
        folder = self.generations.start_aside()
        rows = self._copy(folder, start, until)
        self._assemble(folder, rows)
        calibration = self.manifest.calibration
        if calibration:
            self._calibrate(folder, calibration)
        name = self.generations.adopt(folder, until)
        self.report(Publishing(generation=name))
        self.generations.publish(name)
        return CompactResult(
            generation=name,
            path=self.generations.path(name),
            rows=rows,
            operations=until - start,
            pruned=self.generations.prune(keep),
            given_queries_replaced=calibration is not None and calibration.queries == "given",
        )

    def _copy(self, folder: Path, start: int, until: int) -> int:
        """Write documents and vectors as of operation ``until``, and return their number."""
        vectors = StoredVectors.open(self.path / VECTORS, self.manifest.rows, self.manifest.dimension)
        with closing(Documents(self.path / DOCUMENTS)) as documents:
            delta = Delta(documents, vectors, self.manifest.model.content_hash)
            for page in self.journal.pages(start, until):
                delta.apply(page)
            view = delta.view()
            _write_vectors(folder / VECTORS, self.manifest, vectors, view)
            _write_documents(folder / DOCUMENTS, documents, view, self.report)
        shutil.copyfile(self.path / REJECTED, folder / REJECTED)
        return len(view)

    def _assemble(self, folder: Path, rows: int) -> None:
        before = self.manifest
        words = before.lexical
        facts = GenerationFacts(
            index_id=self.generations.index_id(),
            model=before.model,
            corpus=before.corpus,
            options=before.options,
            vectors=before.vectors,
            lexical=None if words is None else LexicalOptions(fields=words.fields, language=words.language),
        )
        stored, distinct = prepare(folder, rows, before.dimension)
        structure = self._structure(rows)
        assemble(folder, stored, distinct, facts, structure=structure, target=before.target, report=self.report)

    def _calibrate(self, folder: Path, before: CalibrationFacts) -> None:
        lengths = tuple(sorted({plan.k for plan in before.plans})) or CalibrationOptions().k
        options = CalibrationOptions(k=lengths, confidence=before.confidence)
        with closing(OpenedGeneration(folder, verify="sizes")) as opened:
            with_calibration(opened, calibrate(opened, self.encoder, None, options, self.report)).write(folder)

    def _structure(self, rows: int) -> ShortlistFacts:
        """Return the present structure, or the default for the new size if it is the default for the present size."""
        facts, nesting = self.manifest.shortlist, self.manifest.model.nesting
        if facts == default_structure(self.manifest.rows, nesting, facts.dims):
            return default_structure(rows, nesting, facts.dims)
        return facts


def _write_vectors(path: Path, manifest: Manifest, vectors: StoredVectors, view: DeltaView) -> None:
    with VectorWriter(path, manifest.dimension, manifest.vectors) as writer:
        writer.cut_to(0)
        for source, rows in ((vectors, view.visible(None).rows), (view.vectors, view.rows - view.first)):
            for start in range(0, len(rows), PAGE):
                # float32 represents every stored number exactly.
                writer.append(source.stored[rows[start : start + PAGE]].astype(np.float32))
        writer.finish(len(view))


def _write_documents(path: Path, documents: Documents, view: DeltaView, report: Report) -> None:
    with DocumentWriter(path) as writer:
        everything = _documents(documents, view)
        done = 0
        report(Copying(done=done, total=len(view)))
        while batch := list(islice(everything, PAGE)):
            writer.commit(batch, [], Place())
            done += len(batch)
            report(Copying(done=done, total=len(view)))
        writer.finish(documents.filterable)


def _documents(documents: Documents, view: DeltaView) -> Iterator[StoredDocument]:
    rows = view.visible(None).rows
    for start in range(0, len(rows), PAGE):
        yield from documents.fetch(rows[start : start + PAGE].tolist())
    yield from map(view.fetch, view.rows.tolist())
