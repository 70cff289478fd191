"""Building a generation: corpus → documents and vectors → shortlist structure → manifest → publication.

Crash safety: each batch of documents is committed together with the place in the corpus it reaches, after its
vectors are on disk (:class:`indexer.storage.documents.DocumentWriter`). ``build.json`` in the generation's folder names
corpus, model and options. The same call finds it, truncates the vector file to the committed documents and continues
there. Until ``CURRENT`` is replaced (:meth:`indexer.storage.generations.Generations.publish`), the earlier generation
serves.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from indexer.building.assemble import GenerationFacts, assemble, prepare
from indexer.building.batches import BATCH_SIZE, encoded_batches, no_document
from indexer.calibration import CalibrationOptions, Target
from indexer.calibration.queries import SampledQueries
from indexer.calibration.run import calibrate, with_calibration
from indexer.calibration.structure import AUTO, choose_structure, default_structure
from indexer.corpus import Corpus, Fields
from indexer.errors import BuildError, BundleError
from indexer.filters import Field, parse_field
from indexer.lexical import LexicalOptions
from indexer.progress import EncodingDocuments, Publishing, Report, silent
from indexer.search.distinct import DistinctRows
from indexer.search.generation import OpenedGeneration
from indexer.shortlist import require_available, shortlist_options
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import REJECTED, Documents, DocumentWriter, Rejected, StoredDocument
from indexer.storage.generations import BUILD_MARK, Generations
from indexer.storage.manifest import FILE_NAME as MANIFEST
from indexer.storage.manifest import CorpusFacts, Manifest, ModelFacts, OptionFacts, ShortlistFacts, TargetFacts
from indexer.storage.resource_errors import translating_resource_errors
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import Storage, StoredVectors, VectorWriter
from models.data.lists import check_list
from models.encoders.base import Encoder
from models.errors import InvalidOptionError
from models.nesting import Nesting

OnError = Literal["skip", "fail"]
_MEMORY_ADVICE = (
    "give the same command more of it, or a smaller --batch-size, and it continues where it stopped; or start over "
    "with --no-resume and a smaller structure: fewer --dims, --memory, or --shortlist ivf"
)
_DECIDED = ("dims", "shortlist")
"""Options that the build decides if they are not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Everything that determines a generation besides the corpus and the model.

    Usage::

        BuildOptions()  # a structure by the number of documents, with calibrated plans
        BuildOptions(target=Target(recall=0.95, memory=500_000_000))
        BuildOptions(shortlist="hnsw", shortlist_values={"links": 32}, dims=256, vectors="int8")
        BuildOptions(filterable=("year", "author.name"), lexical=LexicalOptions(language="english"))

    Attributes:
        dims: prefix size Ds of the shortlist. If None, :attr:`Nesting.shortlist_size`, or chosen for the target.
        shortlist: name of the structure, or ``auto``: chosen by the number of documents, or for the target.
        shortlist_values: build options of a named structure.
        target: what the index has to reach; requires ``auto``.
        calibration: how to measure the plans at the end; skipped if None.
        vectors: storage type of the full vectors.
        filterable: payload fields to index for filters. Filters on other fields work too, by a slow scan.
        lexical: what to index for hybrid search; no lexical index is built if None.
        on_error: ``skip`` invalid rows and list them, or ``fail`` at the first.
        batch_size: rows encoded and committed together.
        keep: number of complete generations to keep, including the new one.
    """

    dims: int | None = None
    shortlist: str = AUTO
    shortlist_values: dict[str, Any] = field(default_factory=dict)
    target: Target | None = None
    calibration: CalibrationOptions | None = field(default_factory=CalibrationOptions)
    vectors: Storage = "float16"
    filterable: tuple[str, ...] = ()
    lexical: LexicalOptions | None = None
    on_error: OnError = "skip"
    batch_size: int = BATCH_SIZE
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("batch_size", "keep"):
            if getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least 1")
        for name, allowed in (("on_error", get_args(OnError)), ("vectors", get_args(Storage))):
            if getattr(self, name) not in allowed:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)!r}: allowed are {', '.join(allowed)}")
        check_list(self.filterable, "filterable", "filterable")
        for field_name in self.filterable:
            parse_field(field_name, "filterable")
        if self.target and self.shortlist != AUTO:
            raise InvalidOptionError(
                "shortlist", f"shortlist {self.shortlist!r} with a target: the target chooses the structure; omit one"
            )
        if self.shortlist_values and self.shortlist == AUTO:
            raise InvalidOptionError(
                "shortlist",
                f"options {', '.join(self.shortlist_values)} without a structure: name one by shortlist, such as hnsw",
            )

    def structure(self, nesting: Nesting) -> tuple[int | None, dict[str, Any]]:
        """Return prefix size and build options of the structure; None and empty as far as the build chooses them.

        Raises:
            InvalidOptionError: they do not fit the model, or this machine cannot build the structure.
        """
        if self.dims is not None and not 1 <= self.dims <= nesting.dimension:
            raise InvalidOptionError("dims", f"dims {self.dims}: give 1 to {nesting.dimension}, the model's dimension")
        if self.shortlist == AUTO:
            return self.dims, {}
        require_available(self.shortlist)
        values = shortlist_options(self.shortlist, self.shortlist_values).model_dump()
        return self.dims or nesting.shortlist_size, values

    def facts(self, fields: Fields) -> OptionFacts:
        """Return the options by origin, for the manifest; ``fields`` are those of the corpus."""
        names = ("dims", "shortlist", "shortlist_values", "target", "calibration", "vectors", "filterable", "lexical")
        defaults, values = BuildOptions(), asdict(self)
        given = {name: values[name] for name in names if getattr(self, name) != getattr(defaults, name)}
        if fields != Fields():
            given["fields"] = asdict(fields)
        return OptionFacts(
            given=json.loads(json.dumps(given)), chosen=tuple(name for name in _DECIDED if name not in given)
        )


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The outcome of a build.

    Attributes:
        generation: name of the published generation; ``path`` is its folder.
        rows: number of documents in it.
        resumed_rows: how many of them an earlier, interrupted run had encoded.
        rejected: number of rows that were not indexed; ``report`` is the file that lists them.
        pruned: names of deleted older generations.
        missed: a sentence for each part of the target that was not reached.
    """

    generation: str
    path: Path
    rows: int
    resumed_rows: int
    rejected: int
    report: Path
    pruned: list[str]
    missed: tuple[str, ...] = ()


def build_index(
    corpus: Corpus,
    encoder: Encoder,
    out: str | Path,
    options: BuildOptions | None = None,
    *,
    resume: bool = True,
    report: Report = silent,
) -> BuildResult:
    """Build a new generation of an index and publish it.

    If the process is killed at any moment, the published generation stays as it was, and the same call continues with
    what had been encoded. Memory holds one batch and the shortlist structure, whatever the size of the corpus.

    Args:
        corpus: the documents.
        encoder: gives unit vectors.
        out: the index directory; created if missing.
        options: see :class:`BuildOptions`.
        resume: whether to continue an interrupted build; False discards it.
        report: receives progress events.

    Raises:
        BundleBusyError: another process is changing the index.
        BundleStorageError: the disk is full, read-only or failing.
        OutOfMemoryError: there is not enough memory.
        BuildError: an interrupted build with other options exists, a row is invalid with ``on_error="fail"``, or no row
            of the corpus is a document.
        BundleCorruptError: a file of the index or of the interrupted build is damaged.
        ModelError: a document has an image, and the model encodes no images.
        InvalidOptionError, DataError: the options or the corpus cannot be used.
    """
    options = options or BuildOptions()
    dims, values = options.structure(encoder.nesting)
    generations = Generations(out)
    with translating_resource_errors(generations.root, _MEMORY_ADVICE), generations.locked():
        return _Build(corpus, encoder, options, dims, values, generations, report).run(resume)


class _Build:
    def __init__(
        self,
        corpus: Corpus,
        encoder: Encoder,
        options: BuildOptions,
        dims: int | None,
        structure: dict[str, Any],
        generations: Generations,
        report: Report,
    ) -> None:
        self.corpus, self.encoder, self.options, self.dims = corpus, encoder, options, dims
        self.structure, self.generations, self.report = structure, generations, report
        self.texts = (corpus.fields.title, corpus.fields.text)

    def run(self, resume: bool) -> BuildResult:
        name = self._generation(resume)
        folder = self.generations.path(name)
        manifest = _complete(folder)
        resumed = manifest.rows if manifest else 0
        if manifest is None:
            with DocumentWriter(folder / DOCUMENTS) as documents:
                resumed = documents.count
                self._encode(folder, documents)
                _write_rejected(folder / REJECTED, documents)
                rows, rejected = documents.count, documents.rejected_count
            manifest = self._assemble(folder, rows, rejected)
        if self.options.calibration and manifest.calibration is None:
            manifest = self._calibrate(folder, self.options.calibration)
        self.report(Publishing(generation=name))
        self.generations.publish(name)
        pruned = self.generations.prune(self.options.keep)
        return BuildResult(
            generation=name,
            path=folder,
            rows=manifest.rows,
            resumed_rows=resumed,
            rejected=manifest.corpus.rejected,
            report=folder / REJECTED,
            pruned=pruned,
            missed=manifest.target.missed if manifest.target else (),
        )

    def _generation(self, resume: bool) -> str:
        """Return the generation to continue, or a new one, marked with what it is built from."""
        lexical = self._lexical()
        wanted = {
            "corpus": self.corpus.fingerprint(),
            "fields": asdict(self.corpus.fields),
            "model_hash": self.encoder.content_hash,
            "dims": self.dims,
            "shortlist": [self.options.shortlist, self.structure],
            "target": asdict(self.options.target) if self.options.target else None,
            "vectors": self.options.vectors,
            "lexical": [list(lexical.fields), lexical.language] if lexical else None,
        }
        unfinished = self.generations.in_progress()
        if unfinished is not None:
            mark = self.generations.path(unfinished) / BUILD_MARK
            found = _read_mark(mark)
            # With get: the mark may be of a version that did not record all of them.
            changed = [key for key in wanted if not found or found.get(key) != wanted[key]]
            if resume and not changed:
                return unfinished
            if resume and found and _encoded_rows(mark.parent):
                raise BuildError(
                    f"{mark.parent} is an interrupted build that differs in {', '.join(changed)}: give the same "
                    "corpus, model and options to continue it, or --no-resume to discard it and start over"
                )
            if unfinished == self.generations.published():
                mark.unlink()
            else:
                self.generations.discard(unfinished)
        name = self.generations.start()
        partial = self.generations.path(name) / (BUILD_MARK + ".partial")
        partial.write_text(json.dumps(wanted, indent=2), encoding="utf-8")
        partial.replace(partial.with_name(BUILD_MARK))
        return name

    def _encode(self, folder: Path, documents: DocumentWriter) -> None:
        """Read, encode and commit batch by batch, from where the last run stopped."""
        with VectorWriter(folder / VECTORS, self.encoder.dimension, self.options.vectors) as vectors:
            vectors.cut_to(documents.count)
            if not documents.complete:
                # Counted once: counting in the database for each batch would scan all rows.
                count, rejected_count = documents.count, documents.rejected_count
                self.report(EncodingDocuments(done=count + rejected_count, rejected=rejected_count))
                batches = encoded_batches(
                    self.corpus.rows(documents.place),
                    self.encoder,
                    batch_size=self.options.batch_size,
                    known=documents.known,
                )
                for batch in batches:
                    if batch.rejected and self.options.on_error == "fail":
                        first = batch.rejected[0]
                        raise BuildError(
                            f"{first.source} line {first.line}: {first.problem}; --on-error skip continues without it"
                        )
                    vectors.append(batch.vectors)
                    documents.commit(
                        [StoredDocument(document.id, document.payload) for document in batch.documents],
                        [Rejected(row.source, row.line, row.problem) for row in batch.rejected],
                        batch.place,
                    )
                    count, rejected_count = count + len(batch.documents), rejected_count + len(batch.rejected)
                    self.report(EncodingDocuments(done=count + rejected_count, rejected=rejected_count))
                if rejected_count and not count:
                    row = next(documents.rejected())
                    raise BuildError(no_document(rejected_count, f"{row.source} line {row.line}: {row.reason}"))
                documents.finish(self.options.filterable)
            vectors.finish(documents.count)

    def _assemble(self, folder: Path, rows: int, rejected: int) -> Manifest:
        facts = GenerationFacts(
            index_id=self.generations.index_id(),
            model=ModelFacts.of(self.encoder),
            corpus=CorpusFacts(files=self.corpus.fingerprint(), rejected=rejected, text_fields=self.texts),
            options=self.options.facts(self.corpus.fields),
            vectors=self.options.vectors,
            lexical=self._lexical(),
        )
        stored, distinct = prepare(folder, rows, self.encoder.dimension)
        structure, target = self._structure(folder, stored, distinct)
        return assemble(folder, stored, distinct, facts, structure=structure, target=target, report=self.report)

    def _lexical(self) -> LexicalOptions | None:
        """Return the lexical options with their fields named."""
        given = self.options.lexical
        if given is None or given.fields:
            return given
        return replace(given, fields=tuple(str(Field((name,))) for name in self.texts))

    def _structure(
        self, folder: Path, vectors: StoredVectors, distinct: DistinctRows
    ) -> tuple[ShortlistFacts, TargetFacts | None]:
        """Return the structure to build, and the target if it was chosen for one."""
        nesting, target = self.encoder.nesting, self.options.target
        if self.options.shortlist != AUTO:
            dims = self.dims or nesting.shortlist_size
            return ShortlistFacts(kind=self.options.shortlist, dims=dims, options=self.structure), None
        if target is None:
            return default_structure(len(vectors), nesting, self.dims), None
        with closing(Documents(folder / DOCUMENTS)) as documents:
            sampled = SampledQueries(vectors, distinct, documents, self.texts, self.encoder, seed=0)
            return choose_structure(vectors, distinct, sampled, nesting, self.dims, target, self.report)

    def _calibrate(self, folder: Path, options: CalibrationOptions) -> Manifest:
        with closing(OpenedGeneration(folder, verify="sizes")) as opened:
            manifest = with_calibration(opened, calibrate(opened, self.encoder, None, options, self.report))
        manifest = self.generations.identified(manifest)
        manifest.write(folder)
        return manifest


def _complete(folder: Path) -> Manifest | None:
    """Return the manifest of a generation that is complete but was killed before its publication."""
    if not (folder / MANIFEST).exists():
        return None
    try:
        manifest = Manifest.read(folder)
    except BundleError:
        return None
    return None if manifest.differing_files(folder) else manifest


def _encoded_rows(folder: Path) -> int:
    if not (folder / DOCUMENTS).exists():
        return 0
    with DocumentWriter(folder / DOCUMENTS) as documents:
        return documents.count


def _read_mark(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _write_rejected(path: Path, documents: DocumentWriter) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in documents.rejected():
            file.write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")
