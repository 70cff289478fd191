"""Folding the updates of an index into a new generation."""

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
from indexer.storage.resource_errors import told_of
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import StoredVectors, VectorWriter
from models.encoders.base import Encoder
from models.errors import InvalidOptionError

_SMALLER = "compact where there is more of it; a compaction needs as much as a build of the same size"


@dataclass(frozen=True, slots=True)
class CompactResult:
    """What a compaction made.

    Attributes:
        generation: the published one, ``path`` its folder: a new one where there was anything to fold in.
        rows: documents in it.
        operations: how many were folded in.
        pruned: older generations deleted.
        stood_in: whether plans were calibrated with given queries before, and are with stand-ins now.
    """

    generation: str
    path: Path
    rows: int
    operations: int
    pruned: list[str]
    stood_in: bool = False


def compact_index(
    path: Path | str,
    *,
    keep: int = 2,
    encoder: Encoder | None = None,
    report: Report = silent,
) -> CompactResult:
    """Make a new generation of the published one and the updates since, and publish it.

    Nothing is encoded again: vectors are taken as they are stored. What is derived from them is made as a build makes
    it, plans calibrated anew where they were. Searches and updates go on meanwhile; updates that come stay in the
    journal and apply to the new generation. Killed at any moment, the published generation stays as it was, with all
    its updates, and the next call begins anew.

    Args:
        path: the index directory.
        keep: whole generations left after publishing, this one counted.
        encoder: the model of the index, for calibration, whose queries are made of words with it, and of documents'
            vectors where None.
        report: receives progress events: ``Copying``, then those of a build.

    Raises:
        BundleBusyError: another process is building there.
        BundleError: nothing is published, a file is damaged or cannot be read or written, or the encoder is not the
            index's.
        OutOfMemoryError: there is not enough memory.
        InvalidOptionError: ``keep`` is under 1, or this machine cannot build the structure; the message names what can.
    """
    if keep < 1:
        raise InvalidOptionError("keep", f"keep {keep}: give at least 1")
    root = Path(path)
    generations = Generations(root)
    generations.require_published()  # before the lock, which would make the directory
    with told_of(root, _SMALLER), generations.locked(), closing(Journal(root)) as journal:
        try:
            return _Compaction(generations, journal, encoder, report).run(keep)
        except BaseException:
            # On a full disk, room for what is acknowledged is worth more than half a generation.
            generations.drop_aside()
            raise


class _Compaction:
    def __init__(self, generations: Generations, journal: Journal, encoder: Encoder | None, report: Report) -> None:
        self.generations, self.journal, self.encoder, self.report = generations, journal, encoder, report
        self.name = generations.require_published()
        self.path = generations.path(self.name)
        self.manifest = Manifest.read(self.path)
        if encoder is not None:
            RecordedModel(generations.root, self.manifest.model, encoder, None, "auto")  # refuses another

    def run(self, keep: int) -> CompactResult:
        start, until = self.journal.start_of(self.name), self.journal.last
        if until <= start:
            return CompactResult(self.name, self.path, self.manifest.rows, 0, [])
        require_available(self.manifest.shortlist.kind)
        # What is damaged must not get a new checksum. The other files are made anew.
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
            stood_in=calibration is not None and calibration.queries == "given",
        )

    def _copy(self, folder: Path, start: int, until: int) -> int:
        """Write documents and vectors as they are after an operation; return how many there are."""
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
        """Return the structure there was; where it is the one that a rule chooses, what the rule chooses now."""
        facts, nesting = self.manifest.shortlist, self.manifest.model.nesting
        if facts == default_structure(self.manifest.rows, nesting, facts.dims):
            return default_structure(rows, nesting, facts.dims)
        return facts


def _write_vectors(path: Path, manifest: Manifest, vectors: StoredVectors, view: DeltaView) -> None:
    with VectorWriter(path, manifest.dimension, manifest.vectors) as writer:
        writer.cut_to(0)
        for source, rows in ((vectors, view.visible(None).rows), (view.vectors, view.rows - view.first)):
            for start in range(0, len(rows), PAGE):
                # By way of float32, which holds every stored number, and is stored as the same number again.
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
