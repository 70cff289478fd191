"""Changing the documents of an index without building it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from indexer.corpus import Document
from indexer.encoding import encode_documents
from indexer.errors import ModelMismatchError
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import Documents
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal, Writing
from indexer.storage.manifest import Manifest, ModelFacts
from indexer.storage.recorded_model import RecordedModel
from indexer.storage.vectors import Storage, encode
from models.data.unicode import is_unicode, unicode_problem
from models.encoders.base import Encoder
from models.errors import InvalidOptionError
from models.nesting import Vectors, truncate


class Upserted(NamedTuple):
    """What an upsert did.

    Attributes:
        added: documents whose ids were not there.
        replaced: documents whose ids were.
    """

    added: int
    replaced: int


class Put(NamedTuple):
    """What became of one document.

    Attributes:
        id: the document's.
        result: whether its id was not there, or was, or the document cannot be taken.
        reason: why it cannot; empty where it can.
    """

    id: str
    result: Literal["added", "replaced", "rejected"]
    reason: str = ""


class Updates:
    """Writes to the journal of an index. Opens no vectors and no structure, so that it costs little to have.

    Threads may share one, and any number of processes may write to the same index: one after the other, while others
    read, build or compact.

    Attributes:
        model: of the index; the published generation must be by it.
    """

    def __init__(self, root: Path, model: RecordedModel) -> None:
        self.model = model
        self._generations, self._journal = Generations(root), Journal(root)
        self._target: _Target | None = None

    @classmethod
    def open(
        cls, path: Path | str, *, encoder: Encoder | None = None, model: str | None = None, device: str = "auto"
    ) -> Self:
        """Open the published generation of an index for writing; arguments and errors as :meth:`Index.open`."""
        root = Path(path)
        generations = Generations(root)
        facts = Manifest.read(generations.path(generations.require_published())).model
        return cls(root, RecordedModel(root, facts, encoder, model, device))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal and the document file."""
        self._journal.close()
        if self._target is not None:
            self._target.documents.close()
            self._target = None

    def upsert(self, documents: Sequence[Document], vectors: npt.NDArray[Any] | None = None) -> Upserted:
        """Add documents, or replace those that have their ids: all of them, or none.

        When this returns they are on disk, and every search that begins later finds them.

        Args:
            documents: with different ids; the payload holds JSON values.
            vectors: of the documents, shape (n, D), any scale; the model of the index encodes the images and
                texts where None.

        Raises:
            InvalidOptionError: a document or vector cannot be taken; the message names it. Nothing was written.
            ModelError: the model is not where it was.
            BundleError: the journal cannot be written, or a generation by another model was published since.
        """
        payloads = _checked(documents, needs_text=vectors is None)
        if not documents:
            return Upserted(0, 0)
        model = self.model
        if vectors is None:
            unit = _encoded(model.encoder, documents)
        else:
            unit = truncate(_finite(_shaped(vectors, len(documents), model.facts), documents), vectors.shape[1])
        return _counted(documents, self._write(documents, payloads, unit, model))

    def upsert_encoded(self, documents: Sequence[Document], vectors: Vectors) -> Upserted:
        """Do as :meth:`upsert` with vectors just as :attr:`model` encodes the documents, which a build would store."""
        payloads = _checked(documents, needs_text=False)
        if not documents:
            return Upserted(0, 0)
        unit = _finite(_shaped(vectors, len(documents), self.model.facts), documents)
        return _counted(documents, self._write(documents, payloads, unit, self.model))

    def put(self, documents: Sequence[Document]) -> list[Put]:
        """Add or replace those documents that can be taken, one after the other but acknowledged together.

        Of several with one id the last stays, and the others are told of as if each had been written.

        Returns:
            what became of each. When this returns they are on disk, and every search that begins later finds them.

        Raises:
            InvalidOptionError: the model encodes no texts.
            ModelError: the model is not where it was.
            BundleError: the journal cannot be written, or a generation by another model was published since.
        """
        model = self.model
        payloads, problems = [""] * len(documents), [""] * len(documents)
        for place, document in enumerate(documents):
            try:
                payloads[place] = checked_payload(document)
                _check_source(document)
            except ValueError as error:
                problems[place] = str(error)
        good = [place for place, problem in enumerate(problems) if not problem]
        there: set[str] = set()
        if good:
            vectors, refused = encode_documents(model.encoder, [documents[place] for place in good])
            for place, problem in zip(good, refused, strict=True):
                problems[place] = problem
            last = {documents[place].id: number for number, place in enumerate(good) if not problems[place]}
            numbers = sorted(last.values())
            kept = [good[number] for number in numbers]
            there = self._write(
                [documents[place] for place in kept], [payloads[place] for place in kept], vectors[numbers], model
            )
        results = []
        for document, problem in zip(documents, problems, strict=True):
            if problem:
                results.append(Put(document.id, "rejected", problem))
                continue
            results.append(Put(document.id, "replaced" if document.id in there else "added"))
            there.add(document.id)
        return results

    def delete(self, ids: Sequence[str]) -> int:
        """Delete documents; ids that are not there are passed over.

        Returns:
            how many documents were there. When this returns, no search that begins later finds one of them.

        Raises:
            InvalidOptionError: an id is not a text.
            BundleError: the journal cannot be written, or a generation by another model was published since.
        """
        if isinstance(ids, str) or not all(isinstance(one, str) for one in ids):
            raise InvalidOptionError("ids", f"ids {ids!r:.80}: give a list of texts")
        known = [one for one in dict.fromkeys(ids) if is_unicode(one)]  # no document has another id
        if not known:
            return 0
        with self._journal.writing() as writing:
            there = self._there(writing, known, self._published(self.model.facts))
            writing.delete(there)
        return len(there)

    def _write(
        self, documents: Sequence[Document], payloads: Sequence[str], unit: Vectors, model: RecordedModel
    ) -> set[str]:
        """Write documents of different ids; return the ids that were there."""
        ids = [document.id for document in documents]
        with self._journal.writing() as writing:
            target = self._published(model.facts)
            stored = encode(unit, np.dtype(target.storage))
            replaced = set(self._there(writing, ids, target))
            rows = zip(ids, payloads, (row.tobytes() for row in stored), strict=True)
            writing.upsert(rows, model.facts.content_hash)
        return replaced

    def _there(self, writing: Writing, ids: Sequence[str], target: _Target) -> list[str]:
        """Return those of ``ids`` that a document has now."""
        latest = writing.latest(ids, target.start, target.model.content_hash)
        base = target.documents.row_of([one for one in ids if one not in latest])
        return [one for one in ids if latest.get(one, one in base)]

    def _published(self, ours: ModelFacts) -> _Target:
        """Return the published generation; within a transaction, so that it is looked at by one thread at a time."""
        name = self._generations.require_published()
        if self._target is None or self._target.name != name:
            path = self._generations.path(name)
            manifest = Manifest.read(path)
            if self._target is not None:
                self._target.documents.close()
            start = self._journal.start_of(name)
            self._target = _Target(name, manifest.model, manifest.vectors, Documents(path / DOCUMENTS), start)
        theirs = self._target.model
        if theirs.content_hash != ours.content_hash:
            raise ModelMismatchError(
                f"{self._generations.root} has been built again with model {theirs.name!r} (content "
                f"{theirs.content_hash[:12]}), it was opened with {ours.name!r} (content {ours.content_hash[:12]}): "
                "open it again"
            )
        return self._target


class _Target(NamedTuple):
    """The published generation: what tells whether an id is there, and how vectors are stored."""

    name: str
    model: ModelFacts
    storage: Storage
    documents: Documents
    start: int


class UpdateFacts(NamedTuple):
    """What updates have made of the published generation.

    Attributes:
        documents: how many there are now.
        upserts, deletes: operations since the generation.
        by_other_models: operations since the generation that do not apply to it.
        size_bytes: of the journal on disk.
    """

    documents: int
    upserts: int
    deletes: int
    by_other_models: int
    size_bytes: int


def update_facts(root: Path) -> UpdateFacts:
    """Return facts about the updates of an index, for ``inspect``.

    Raises:
        BundleError: nothing is published, or a file cannot be read.
    """
    generations, journal = Generations(root), Journal(root)
    name = generations.require_published()
    manifest = Manifest.read(generations.path(name))
    documents = Documents(generations.path(name) / DOCUMENTS)
    try:
        start, model = journal.start_of(name), manifest.model.content_hash
        latest = journal.latest(start, model)
        rows = manifest.rows + sum(latest.values()) - len(documents.row_of(list(latest)))
        return UpdateFacts(rows, *journal.counts(start, model), journal.size_bytes)
    finally:
        documents.close()
        journal.close()


def checked_payload(document: Document) -> str:
    """Refuse a document that cannot be stored; return its payload as JSON.

    Raises:
        ValueError: the id is empty, or id or payload hold what JSON or Unicode cannot.
    """
    if not document.id:
        raise ValueError("the id is empty")
    try:
        text = json.dumps(document.payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the payload holds what JSON cannot: {error}") from None
    if problem := unicode_problem(document.id) or unicode_problem(text):
        raise ValueError(f"not valid Unicode: {problem}")
    return text


def _checked(documents: Iterable[Document], needs_text: bool) -> list[str]:
    """Refuse documents that cannot be taken; return their payloads as JSON."""
    payloads = []
    seen: set[str] = set()
    for number, document in enumerate(documents):
        try:
            payloads.append(checked_payload(document))
            if document.id in seen:
                raise ValueError("the id comes twice; give one document for each id")
            if needs_text:
                _check_source(document)
        except ValueError as error:
            raise InvalidOptionError("documents", f"document {number} with id {document.id!r:.80}: {error}") from None
        seen.add(document.id)
    return payloads


def _check_source(document: Document) -> None:
    if document.image is None and document.vector is None and not document.text.strip():
        raise ValueError("it has no text; give text or its vector")


def _counted(documents: Sequence[Document], replaced: set[str]) -> Upserted:
    return Upserted(len(documents) - len(replaced), len(replaced))


def _shaped(vectors: npt.NDArray[Any], count: int, facts: ModelFacts) -> Vectors:
    shape = (count, facts.nesting.dimension)
    if np.shape(vectors) != shape:
        raise InvalidOptionError("vectors", f"vectors of shape {np.shape(vectors)}: {shape} is needed")
    return np.asarray(vectors, dtype=np.float32)


def _encoded(encoder: Encoder, documents: Sequence[Document]) -> Vectors:
    vectors, problems = encode_documents(encoder, documents)
    for number, problem in enumerate(problems):
        if problem:
            identifier = documents[number].id
            raise InvalidOptionError("documents", f"document {number} with id {identifier!r:.80}: {problem}")
    return vectors


def _finite(vectors: Vectors, documents: Sequence[Document]) -> Vectors:
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        identifier = documents[broken[0]].id
        raise InvalidOptionError("vectors", f"the vector of document {identifier!r:.80} holds NaN or infinity")
    return vectors
