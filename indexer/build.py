"""Building a generation: corpus → documents and vectors → shortlist → manifest → published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from indexer.corpus import Corpus, CorpusRow, Document
from indexer.documents import FILE_NAME as DOCUMENTS
from indexer.documents import DocumentWriter
from indexer.errors import BuildError, BundleError
from indexer.generations import BUILD_MARK, Generations
from indexer.manifest import FILE_NAME as MANIFEST
from indexer.manifest import CorpusFacts, Manifest, ModelFacts, ShortlistFacts, file_facts, library_versions
from indexer.shortlist import shortlist_options, shortlist_type
from indexer.vectors import FILE_NAME as VECTORS
from indexer.vectors import Storage, StoredVectors, VectorWriter
from models.encoders import Encoder
from models.errors import InvalidOptionError
from models.nesting import Vectors

PREFIX_NORMS = "prefix_norms.f32"
REJECTED = "rejected.jsonl"
OnError = Literal["skip", "fail"]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Everything that decides a generation besides corpus and model.

    Attributes:
        dims: the shortlist's size Ds; :attr:`Nesting.shortlist_size` where None.
        shortlist: name of the structure; ``shortlist_values`` its build options.
        vectors: how full vectors are stored.
        on_error: ``skip`` broken rows and list them, or ``fail`` at the first.
        batch_size: rows encoded and committed together.
        keep: whole generations left after publishing, this one counted.
    """

    dims: int | None = None
    shortlist: str = "hnsw"
    shortlist_values: dict[str, Any] = field(default_factory=dict)
    vectors: Storage = "float16"
    on_error: OnError = "skip"
    batch_size: int = 4096
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("batch_size", "keep"):
            if getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least 1")
        for name, allowed in (("on_error", get_args(OnError)), ("vectors", get_args(Storage))):
            if getattr(self, name) not in allowed:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)!r}: allowed are {', '.join(allowed)}")


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made.

    Attributes:
        generation: its name; ``path`` its folder.
        rows: documents in it.
        resumed_rows: of those, how many an earlier, interrupted run had already encoded.
        rejected: rows turned away, listed in ``report``.
        pruned: older generations deleted.
    """

    generation: str
    path: Path
    rows: int
    resumed_rows: int
    rejected: int
    report: Path
    pruned: list[str]


Report = Callable[[str, dict[str, Any]], None]
"""Told what happens: ``encode`` with rows and rejected; ``shortlist`` with rows and total; ``checksums``;
``publish`` with generation."""


def build_index(
    corpus: Corpus,
    encoder: Encoder,
    out: Path,
    options: BuildOptions | None = None,
    *,
    resume: bool = True,
    report: Report = lambda event, facts: None,
) -> BuildResult:
    """Build a new generation of the index ``out`` and publish it.

    Killed at any moment, the published generation stays as it was, and the same call goes on with what had been
    encoded. Memory holds one batch and the shortlist structure, however large the corpus.

    Args:
        corpus: what is indexed.
        encoder: gives unit vectors.
        out: the index directory; made where there is none.
        options: see :class:`BuildOptions`.
        resume: False throws away what an interrupted run left.
        report: told about progress.

    Raises:
        BundleBusyError: another process is building there.
        BuildError: an interrupted build with other options is there, a broken row with ``on_error="fail"``, or no row
            of the corpus is a document.
        InvalidOptionError, DataError: options or corpus cannot be used.
    """
    options = options or BuildOptions()
    dims = encoder.nesting.shortlist_size if options.dims is None else options.dims
    if not 1 <= dims <= encoder.dimension:
        raise InvalidOptionError("dims", f"dims {dims}: the model has {encoder.dimension} dimensions; give 1 to that")
    structure = shortlist_options(options.shortlist, options.shortlist_values)
    generations = Generations(out)
    with generations.locked():
        build = _Build(corpus, encoder, options, dims, structure.model_dump(), generations, report)
        return build.run(resume)


class _Build:
    def __init__(
        self,
        corpus: Corpus,
        encoder: Encoder,
        options: BuildOptions,
        dims: int,
        structure: dict[str, Any],
        generations: Generations,
        report: Report,
    ) -> None:
        self.corpus, self.encoder, self.options, self.dims = corpus, encoder, options, dims
        self.structure, self.generations, self.report = structure, generations, report

    def run(self, resume: bool) -> BuildResult:
        name = self._generation(resume)
        folder = self.generations.path(name)
        manifest = _whole(folder)
        resumed = manifest.rows if manifest else 0
        if manifest is None:
            with DocumentWriter(folder / DOCUMENTS) as documents:
                resumed = documents.count
                self._encode(folder, documents)
                _write_rejected(folder / REJECTED, documents)
                rows, rejected = documents.count, documents.rejected_count
            manifest = self._finish(folder, rows, rejected)
        self.report("publish", {"generation": name})
        self.generations.publish(name)
        pruned = self.generations.prune(self.options.keep)
        return BuildResult(name, folder, manifest.rows, resumed, manifest.corpus.rejected, folder / REJECTED, pruned)

    def _generation(self, resume: bool) -> str:
        """Return the generation to go on with, or a new one, marked with what it is built from."""
        wanted = {
            "corpus": self.corpus.fingerprint(),
            "fields": asdict(self.corpus.fields),
            "model_hash": self.encoder.content_hash,
            "dims": self.dims,
            "shortlist": [self.options.shortlist, self.structure],
            "vectors": self.options.vectors,
        }
        unfinished = self.generations.in_progress()
        if unfinished is not None:
            mark = self.generations.path(unfinished) / BUILD_MARK
            found = _read_mark(mark)
            if resume and found == wanted:
                return unfinished
            if resume and found and _encoded_rows(mark.parent):
                changed = [key for key in wanted if found.get(key) != wanted[key]]
                raise BuildError(
                    f"{mark.parent} is an interrupted build that differs in {', '.join(changed)}: give the same "
                    "corpus, model and options to go on with it, or --no-resume to begin anew"
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
                rows = self.corpus.rows(documents.place)
                # Read from the database only on start: counting rows again for each batch would scan them.
                count, rejected_count = documents.count, documents.rejected_count
                self.report("encode", {"rows": count, "rejected": rejected_count})
                while batch := list(islice(rows, self.options.batch_size)):
                    good, encoded, rejected = self._encode_batch(batch, documents)
                    if rejected and self.options.on_error == "fail":
                        first = min(rejected, key=lambda row: (row.place.file, row.place.row))
                        raise BuildError(
                            f"{first.source} line {first.line}: {first.problem}; --on-error skip passes over it"
                        )
                    vectors.append(encoded)
                    documents.commit(good, rejected, batch[-1].place)
                    count, rejected_count = count + len(good), rejected_count + len(rejected)
                    self.report("encode", {"rows": count, "rejected": rejected_count})
                if rejected_count and not count:
                    first_row = next(documents.rejected())
                    raise BuildError(
                        f"none of the {rejected_count} rows is a document; the first: {first_row.source} "
                        f"line {first_row.line}: {first_row.reason}. "
                        "Name the fields by --id-field, --text-field, --title-field"
                    )
                documents.finish()
            vectors.finish(documents.count)

    def _encode_batch(
        self, batch: list[CorpusRow], documents: DocumentWriter
    ) -> tuple[list[Document], Vectors, list[CorpusRow]]:
        """Split a batch into documents with their vectors, and rows to turn away."""
        rejected = [row for row in batch if row.document is None]
        known = documents.known([row.document.id for row in batch if row.document])
        fresh: list[tuple[CorpusRow, Document]] = []
        for row in batch:
            if row.document is None:
                continue
            if row.document.id in known:
                rejected.append(_turned_away(row, f"duplicate id {row.document.id!r}"))
            else:
                known.add(row.document.id)
                fresh.append((row, row.document))
        if not fresh:
            return [], np.zeros((0, self.encoder.dimension), np.float32), rejected
        vectors = self.encoder.encode_documents([document.text for _, document in fresh])
        finite: npt.NDArray[np.bool_] = np.isfinite(vectors.sum(axis=1))
        good: list[Document] = []
        for (row, document), ok in zip(fresh, finite.tolist(), strict=True):
            if ok:
                good.append(document)
            else:
                rejected.append(_turned_away(row, "the model gave NaN or infinity"))
        return good, vectors[finite], rejected

    def _finish(self, folder: Path, rows: int, rejected: int) -> Manifest:
        """Build what is derived from the vectors, and the manifest last."""
        stored = StoredVectors(folder / VECTORS, rows, self.encoder.dimension)
        _write_prefix_norms(folder / PREFIX_NORMS, stored, self.dims)
        structure = shortlist_type(self.options.shortlist)
        options = structure.options_type(**self.structure)
        shortlist = structure.build(self._reported(stored.blocks(self.dims), rows), self.dims, options)
        shortlist.save(folder / structure.file_name)
        self.report("checksums", {})
        names = (structure.file_name, VECTORS, PREFIX_NORMS, DOCUMENTS, REJECTED)
        manifest = Manifest(
            created=datetime.now(UTC),
            model=ModelFacts.of(self.encoder),
            dimension=self.encoder.dimension,
            rows=rows,
            vectors=self.options.vectors,
            shortlist=ShortlistFacts(kind=self.options.shortlist, dims=self.dims, options=self.structure),
            corpus=CorpusFacts(files=self.corpus.fingerprint(), rejected=rejected),
            versions=library_versions(),
            files={name: file_facts(folder / name) for name in names},
        )
        manifest.write(folder)
        return manifest

    def _reported(self, blocks: Iterator[tuple[int, Vectors]], rows: int) -> Iterator[tuple[int, Vectors]]:
        self.report("shortlist", {"rows": 0, "total": rows})
        for start, prefixes in blocks:
            yield start, prefixes
            self.report("shortlist", {"rows": start + len(prefixes), "total": rows})


def _whole(folder: Path) -> Manifest | None:
    """Return the manifest of a generation that was killed between being whole and being published."""
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


def _turned_away(row: CorpusRow, problem: str) -> CorpusRow:
    return CorpusRow(row.source, row.line, row.place, None, problem)


def _read_mark(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _write_rejected(path: Path, documents: DocumentWriter) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in documents.rejected():
            file.write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")


def _write_prefix_norms(path: Path, stored: StoredVectors, dims: int) -> None:
    """Write |x[:Ds]| of each unit row: how much of a row the shortlist sees, which a bound on its full score needs."""
    with path.open("wb") as file:
        for norms in stored.prefix_norms(dims):
            file.write(norms.astype("<f4").tobytes())
