"""Building a generation: corpus → documents and vectors → shortlist → manifest → published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from indexer.building.assemble import REJECTED, DeriveOptions, Report, derive
from indexer.calibration import CalibrationOptions, Target
from indexer.calibration.queries import SampledQueries
from indexer.calibration.run import calibrate, calibrated
from indexer.calibration.structure import AUTO, choose_structure, default_structure
from indexer.corpus import Corpus, CorpusRow, Document
from indexer.encoding import encode_documents
from indexer.errors import BuildError, BundleError
from indexer.filters import Field, parse_field
from indexer.lexical import LexicalOptions
from indexer.search.distinct import DistinctRows
from indexer.search.generation import OpenedGeneration
from indexer.shortlist import require_available, shortlist_options
from indexer.storage.documents import FILE_NAME as DOCUMENTS
from indexer.storage.documents import Documents, DocumentWriter
from indexer.storage.generations import BUILD_MARK, Generations
from indexer.storage.manifest import FILE_NAME as MANIFEST
from indexer.storage.manifest import CorpusFacts, Manifest, ModelFacts, ShortlistFacts, TargetFacts
from indexer.storage.resource_errors import told_of
from indexer.storage.vectors import FILE_NAME as VECTORS
from indexer.storage.vectors import Storage, StoredVectors, VectorWriter
from models.encoders.base import Encoder
from models.errors import InvalidOptionError
from models.nesting import Nesting, Vectors

OnError = Literal["skip", "fail"]
_SMALLER = (
    "give the same command more of it, or a smaller --batch-size, and it goes on where it stopped; or begin anew with "
    "--no-resume and a smaller structure: fewer --dims, --memory, or --shortlist ivf"
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Everything that decides a generation besides corpus and model.

    Attributes:
        dims: the shortlist's size Ds; where None :attr:`Nesting.shortlist_size`, or chosen for the target.
        shortlist: name of the structure, or ``auto``: chosen by the number of rows, or for the target.
        shortlist_values: build options of a structure that is named.
        target: what the index is to reach; only with ``auto``.
        calibration: how its plans are measured at the end; not at all where None.
        vectors: how full vectors are stored.
        filterable: payload fields that filters find at once; by others they can be found too, but slowly.
        lexical: which words hybrid searches find; no lexical index is made where None.
        on_error: ``skip`` broken rows and list them, or ``fail`` at the first.
        batch_size: rows encoded and committed together.
        keep: whole generations left after publishing, this one counted.
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
    batch_size: int = 4096
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("batch_size", "keep"):
            if getattr(self, name) < 1:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)}: give at least 1")
        for name, allowed in (("on_error", get_args(OnError)), ("vectors", get_args(Storage))):
            if getattr(self, name) not in allowed:
                raise InvalidOptionError(name, f"{name} {getattr(self, name)!r}: allowed are {', '.join(allowed)}")
        for field_name in self.filterable:
            parse_field(field_name, "filterable")
        if self.target and self.shortlist != AUTO:
            raise InvalidOptionError(
                "shortlist", f"shortlist {self.shortlist!r} together with a target: a target chooses it; leave it out"
            )
        if self.shortlist_values and self.shortlist == AUTO:
            raise InvalidOptionError(
                "shortlist",
                f"options {', '.join(self.shortlist_values)} without a shortlist: name the structure, such as hnsw",
            )

    def structure(self, nesting: Nesting) -> tuple[int | None, dict[str, Any]]:
        """Return the size and all build options of the structure; None and none where it is to be chosen.

        Raises:
            InvalidOptionError: they do not fit the model, or this machine cannot run the structure.
        """
        if self.dims is not None and not 1 <= self.dims <= nesting.dimension:
            raise InvalidOptionError(
                "dims", f"dims {self.dims}: the model has {nesting.dimension} dimensions; give 1 to that"
            )
        if self.shortlist == AUTO:
            return self.dims, {}
        require_available(self.shortlist)
        values = shortlist_options(self.shortlist, self.shortlist_values).model_dump()
        return self.dims or nesting.shortlist_size, values


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made.

    Attributes:
        generation: its name; ``path`` its folder.
        rows: documents in it.
        resumed_rows: of those, how many an earlier, interrupted run had already encoded.
        rejected: rows turned away, listed in ``report``.
        pruned: older generations deleted.
        missed: what of the target was not reached, in words.
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
        BundleStorageError, OutOfMemoryError: disk or memory do not suffice.
        BuildError: an interrupted build with other options is there, a broken row with ``on_error="fail"``, or no row
            of the corpus is a document.
        InvalidOptionError, DataError: options or corpus cannot be used.
    """
    options = options or BuildOptions()
    dims, values = options.structure(encoder.nesting)
    generations = Generations(out)
    with told_of(out, _SMALLER), generations.locked():
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
        if self.options.calibration and manifest.calibration is None:
            manifest = self._calibrate(folder, self.options.calibration)
        self.report("publish", {"generation": name})
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
        """Return the generation to go on with, or a new one, marked with what it is built from."""
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
            # By get: the mark may be of a version that did not know all of them.
            changed = [key for key in wanted if not found or found.get(key) != wanted[key]]
            if resume and not changed:
                return unfinished
            if resume and found and _encoded_rows(mark.parent):
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
                documents.finish(self.options.filterable)
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
        vectors, problems = encode_documents(self.encoder, [document for _, document in fresh])
        rejected += [_turned_away(row, why) for (row, _), why in zip(fresh, problems, strict=True) if why]
        good = [place for place, why in enumerate(problems) if not why]
        return [fresh[place][1] for place in good], vectors[good], rejected

    def _finish(self, folder: Path, rows: int, rejected: int) -> Manifest:
        fields = self.corpus.fields
        texts = (fields.title, fields.text)
        auto = self.options.shortlist == AUTO
        return derive(
            folder,
            rows,
            ModelFacts.of(self.encoder),
            CorpusFacts(files=self.corpus.fingerprint(), rejected=rejected, text_fields=texts),
            DeriveOptions(
                self.dims or self.encoder.dimension,
                self.options.shortlist,
                self.structure,
                self.options.vectors,
                self._lexical(),
            ),
            self.report,
            partial(self._choose, folder, texts) if auto else None,
        )

    def _lexical(self) -> LexicalOptions | None:
        """Return the lexical options with their fields named."""
        given, fields = self.options.lexical, self.corpus.fields
        if given is None or given.fields:
            return given
        return replace(given, fields=tuple(str(Field((name,))) for name in (fields.title, fields.text)))

    def _choose(
        self, folder: Path, texts: Sequence[str], vectors: StoredVectors, distinct: DistinctRows
    ) -> tuple[ShortlistFacts, TargetFacts | None]:
        nesting, target = self.encoder.nesting, self.options.target
        if target is None:
            return default_structure(len(vectors), nesting, self.dims), None
        with closing(Documents(folder / DOCUMENTS)) as documents:
            sampled = SampledQueries(vectors, distinct, documents, texts, self.encoder, seed=0)
            return choose_structure(vectors, distinct, sampled, nesting, self.dims, target, self.report)

    def _calibrate(self, folder: Path, options: CalibrationOptions) -> Manifest:
        with closing(OpenedGeneration(folder, verify="sizes")) as opened:
            manifest = calibrated(opened, calibrate(opened, self.encoder, None, options, self.report))
        manifest.write(folder)
        return manifest


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
