"""Updates: adding, replacing and deleting documents of an index without rebuilding it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from indexer.corpus import Document
from indexer.encoding import encode_documents
from indexer.errors import ModelMismatchError, RejectedRowError
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import Documents, payload_json
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal, Writing
from indexer.storage.manifest import TEXT_FIELDS, Manifest, ModelFacts
from indexer.storage.recorded_model import RecordedModel
from indexer.storage.vectors import Storage, encode
from models.data.lists import check_list
from models.data.unicode import is_unicode, unicode_problem
from models.encoders.base import Encoder
from models.errors import InvalidOptionError
from models.nesting import Vectors, truncate


class Upserted(NamedTuple):
    """Counts of an upsert.

    Attributes:
        added: documents with new ids.
        replaced: documents whose ids existed.
    """

    added: int
    replaced: int


class Put(NamedTuple):
    """Outcome of one document of :meth:`Updates.put`.

    Attributes:
        id: the document's id.
        result: ``added`` if the id is new, ``replaced`` if it existed, ``rejected`` if the document is invalid.
        reason: why it was rejected; empty otherwise.
    """

    id: str
    result: Literal["added", "replaced", "rejected"]
    reason: str = ""


class Updates:
    """Writes to an index's journal. Opens neither vectors nor the structure, so that it is cheap to keep open::

        with Updates.open("my-index") as updates:
            updates.upsert([Document("4", "The tide rises twice a day.", {"year": 2020})])
            updates.delete(["3"])

    Thread-safe. Any number of processes may write to one index; their transactions are serialised, and searches, builds
    and compactions continue meanwhile.

    Attributes:
        model: the index's model; the published generation must be built with it.
        text_fields: payload fields in which title and text are stored, as in the index's corpus.
    """

    def __init__(self, root: str | Path, model: RecordedModel, text_fields: Sequence[str] = TEXT_FIELDS) -> None:
        """Write to the index in ``root``; :meth:`open` finds model and fields itself."""
        root = Path(root)
        self.model, self.text_fields = model, text_fields
        self._generations, self._journal = Generations(root), Journal(root)
        self._target: _Target | None = None

    @classmethod
    def open(
        cls, path: str | Path, *, encoder: Encoder | None = None, model: str | None = None, device: str = "auto"
    ) -> Self:
        """Open the published generation of an index for writing.

        ``encoder``, ``model`` and ``device`` are those of :meth:`Index.open`, and so are the errors.
        """
        root = Path(path)
        generations = Generations(root)
        manifest = Manifest.read(generations.path(generations.require_published()))
        recorded = RecordedModel(root, manifest.model, encoder, model, device)
        return cls(root, recorded, manifest.corpus.text_fields)

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
        """Add documents, or replace those with the same ids, in one transaction.

        When this returns they are on disk, and every search that begins later finds them.

        Args:
            documents: documents with distinct ids and JSON payloads.
            vectors: their vectors, shape (n, D), any norm; if None, the index's model encodes their images and texts.

        Raises:
            InvalidOptionError: a document or vector is invalid; the message names it, and nothing was written.
            ModelError: the model cannot be found.
            BundleError: the journal cannot be written, or a generation of another model was published since.
        """
        payloads = _checked(documents, self.text_fields, needs_text=vectors is None)
        if not documents:
            return Upserted(0, 0)
        model = self.model
        if vectors is None:
            unit = _encoded(model.encoder, documents)
        else:
            unit = truncate(_finite(_shaped(vectors, len(documents), model.facts), documents), vectors.shape[1])
        return _counted(documents, self._write(documents, payloads, unit, model))

    def upsert_encoded(self, documents: Sequence[Document], vectors: Vectors) -> Upserted:
        """Upsert documents already encoded by :attr:`model`, without normalising their vectors again.

        Args:
            documents: documents with distinct ids and JSON payloads.
            vectors: their unit vectors, shape (n, D).

        Raises:
            InvalidOptionError: a document is invalid, or the vectors have another shape or are not finite; nothing was
                written.
            BundleError: the journal cannot be written, or a generation of another model was published since.
        """
        payloads = _checked(documents, self.text_fields, needs_text=False)
        if not documents:
            return Upserted(0, 0)
        unit = _finite(_shaped(vectors, len(documents), self.model.facts), documents)
        return _counted(documents, self._write(documents, payloads, unit, self.model))

    def put(self, documents: Sequence[Document]) -> list[Put]:
        """Add or replace the valid documents in one transaction, and reject the rest.

        If an id repeats, the last document wins; every occurrence is reported.

        Returns:
            the outcome of each document. When this returns they are on disk, and every search that begins later finds
            them.

        Raises:
            InvalidOptionError: the model encodes no texts.
            ModelError: the model cannot be found.
            BundleError: the journal cannot be written, or a generation of another model was published since.
        """
        model = self.model
        payloads, problems = [""] * len(documents), [""] * len(documents)
        for place, document in enumerate(documents):
            try:
                payloads[place] = checked_payload(document, self.text_fields)
                _check_source(document)
            except RejectedRowError as error:
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
        """Delete documents; ids that do not exist are ignored.

        Returns:
            how many documents existed. When this returns, no search that begins later finds any of them.

        Raises:
            InvalidOptionError: ``ids`` is a single str, or an id is not a str.
            BundleError: the journal cannot be written, or a generation of another model was published since.
        """
        check_list(ids, "ids", "ids")
        ids = list(ids)
        if not all(isinstance(identifier, str) for identifier in ids):
            raise InvalidOptionError("ids", f"ids {ids!r:.80}: give a list of texts")
        known = [identifier for identifier in dict.fromkeys(ids) if is_unicode(identifier)]  # all stored ids are
        if not known:
            return 0
        with self._journal.writing() as writing:
            existing = self._existing(writing, known, self._published(self.model.facts))
            writing.delete(existing)
        return len(existing)

    def _write(
        self, documents: Sequence[Document], payloads: Sequence[str], unit: Vectors, model: RecordedModel
    ) -> set[str]:
        """Write documents with distinct ids; return the ids that existed."""
        ids = [document.id for document in documents]
        with self._journal.writing() as writing:
            target = self._published(model.facts)
            stored = encode(unit, np.dtype(target.storage))
            replaced = set(self._existing(writing, ids, target))
            rows = zip(ids, payloads, (row.tobytes() for row in stored), strict=True)
            writing.upsert(rows, model.facts.content_hash)
        return replaced

    def _existing(self, writing: Writing, ids: Sequence[str], target: _Target) -> list[str]:
        """Return those of ``ids`` that are the id of a current document."""
        latest = writing.latest(ids, target.start, target.model.content_hash)
        base = target.documents.row_of([identifier for identifier in ids if identifier not in latest])
        return [identifier for identifier in ids if latest.get(identifier, identifier in base)]

    def _published(self, ours: ModelFacts) -> _Target:
        """Return the published generation; call within a transaction, which serialises the threads."""
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
                f"{self._generations.root} was rebuilt with model {theirs.name!r} (content {theirs.content_hash[:12]}) "
                f"after it was opened with {ours.name!r} (content {ours.content_hash[:12]}): open it again"
            )
        return self._target


class _Target(NamedTuple):
    """The published generation, as far as a write needs it: existing ids, and how vectors are stored."""

    name: str
    model: ModelFacts
    storage: Storage
    documents: Documents
    start: int


class UpdateFacts(NamedTuple):
    """The updates since the published generation.

    Attributes:
        documents: current number of documents.
        upserts, deletes: operations since the generation.
        by_other_models: operations since the generation that do not apply to it, as another model made them.
        size_bytes: size of the journal on disk.
    """

    documents: int
    upserts: int
    deletes: int
    by_other_models: int
    size_bytes: int


def update_facts(root: str | Path) -> UpdateFacts:
    """Return facts about the updates of an index, for ``inspect``.

    Raises:
        BundleError: nothing is published, or a file cannot be read.
    """
    root = Path(root)
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


def checked_payload(document: Document, text_fields: Sequence[str]) -> str:
    """Check that a document can be stored, and return its payload as JSON, title and text in it.

    Raises:
        RejectedRowError: the id is empty, the id or payload is not valid JSON or Unicode, or the payload holds another
            title or text than the document.
    """
    for name, kind in (("id", str), ("text", str), ("title", str), ("payload", dict)):
        if not isinstance(value := getattr(document, name), kind):
            raise RejectedRowError(f"the document's {name} is {value!r:.80}: give a {kind.__name__}")
    if not document.id:
        raise RejectedRowError("the id is empty")
    try:
        text = payload_json(document.stored_payload(*text_fields))
    except (TypeError, ValueError, RecursionError) as error:
        raise RejectedRowError(f"the payload holds what JSON cannot: {error}") from None
    if problem := unicode_problem(document.id) or unicode_problem(text):
        raise RejectedRowError(f"not valid Unicode: {problem}")
    return text


def _checked(documents: Iterable[Document], text_fields: Sequence[str], needs_text: bool) -> list[str]:
    """Refuse invalid documents; return the payloads as JSON."""
    payloads = []
    seen: set[str] = set()
    for number, document in enumerate(documents):
        try:
            payloads.append(checked_payload(document, text_fields))
            if document.id in seen:
                raise RejectedRowError("duplicate id; give one document for each id")
            if needs_text:
                _check_source(document)
        except RejectedRowError as error:
            raise InvalidOptionError("documents", f"document {number} with id {document.id!r:.80}: {error}") from None
        seen.add(document.id)
    return payloads


def _check_source(document: Document) -> None:
    if document.image is None and document.vector is None and not document.full_text.strip():
        raise RejectedRowError("it has no text; give text or its vector")


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
