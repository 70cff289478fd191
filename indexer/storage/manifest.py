"""The manifest of a generation: what it holds, how it was made, and the checksum of every file.

``docs/format.md`` describes the fields for readers of the file. This version writes format 3 and reads 2 and 3.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from indexer.errors import BundleCorruptError, BundleFormatError
from indexer.plan import SCAN, FunnelStage, SecondLook
from indexer.storage.fsync import fsync
from indexer.storage.vectors import Storage
from models.encoders.base import Encoder, Prompts
from models.nesting import Nesting

FILE_NAME = "manifest.json"
FORMAT_VERSION: Final = 3
TEXT_FIELDS: Final = ("title", "text")
_READABLE: Final = (2, 3)
_NEWER: Final = ("extra_forbidden", "none_required", "literal_error")
"""Kinds of validation errors that a field or value of a later version causes."""
_CHECKSUM: Final = re.compile(rb',\n  "checksum": "([0-9a-f]{64})"\n}\n\Z')
"""The end of the file: the sha256 of the file without this field."""


class _Part(BaseModel):
    # An unknown field is refused, not ignored: it may change what the known ones mean.
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFacts(_Part):
    """An encoder, as far as its vectors depend on it.

    Attributes:
        name: what :func:`models.load_encoder` finds it by.
        content_hash: sha256 of weights, tokenizer and prompts.
        sizes, weights: the nesting it was trained for.
        query_prompt, document_prompt: text put in front of queries and documents.
    """

    name: str
    content_hash: str
    sizes: tuple[int, ...]
    weights: tuple[float, ...]
    query_prompt: str = ""
    document_prompt: str = ""

    @classmethod
    def of(cls, encoder: Encoder) -> ModelFacts:
        """Describe an encoder."""
        return cls(
            name=encoder.name,
            content_hash=encoder.content_hash,
            sizes=encoder.nesting.sizes,
            weights=encoder.nesting.weights,
            query_prompt=encoder.prompts.query,
            document_prompt=encoder.prompts.document,
        )

    @property
    def nesting(self) -> Nesting:
        """The trained sizes."""
        return Nesting(self.sizes, self.weights)

    @property
    def prompts(self) -> Prompts:
        """The prompts of queries and documents."""
        return Prompts(self.query_prompt, self.document_prompt)


class ShortlistFacts(_Part):
    """The shortlist structure: its kind, its prefix size Ds and its build options."""

    kind: str
    dims: int
    options: dict[str, Any]


class CorpusFacts(_Part):
    """The corpus the documents came from.

    Attributes:
        files: name, size and modification time of each file.
        rejected: number of rows that were not indexed.
        text_fields: payload fields that hold title and text.
    """

    files: list[dict[str, Any]]
    rejected: int
    text_fields: tuple[str, str] = TEXT_FIELDS


class LexicalFacts(_Part):
    """The lexical index.

    Attributes:
        fields: indexed payload fields, named as in filters.
        language: of the stemmer; words are not stemmed if None.
        words: size of the vocabulary.
        mean_length: mean number of words per document.
        k1, b: BM25 parameters.
    """

    fields: tuple[str, ...]
    language: str | None
    words: int
    mean_length: float
    k1: float
    b: float


class CalibratedPlan(_Part):
    """A measured plan.

    Attributes:
        k, structure, dims, candidates, effort, stages: see :class:`indexer.plan.Plan`.
        recall: recall@k against exact search at D: the mean over the hardest kind of queries.
        recall_low: lower confidence bound on the mean recall of unseen queries, for every kind of queries.
        milliseconds: median single-thread latency without encoding; see :class:`indexer.plan.Promise`.
        gap: of the stop rule, measured from the k-th candidate; all candidates are read if None.
        second_look: when to search again with more effort; never if None.
    """

    k: int
    structure: str
    dims: int
    candidates: int
    effort: int | None
    stages: tuple[FunnelStage, ...]
    recall: float
    recall_low: float
    milliseconds: float
    gap: float | None = None
    second_look: SecondLook | None = None

    @property
    def exact(self) -> bool:
        """Whether the plan scans every row at full size, so that its recall is 1 by construction."""
        return self.structure == SCAN and self.dims == self.stages[-1].dims


class CalibrationFacts(_Part):
    """The result of a calibration.

    Attributes:
        created: time of the calibration.
        queries: ``given`` by the user, or ``sampled`` from the corpus.
        kinds: number of queries behind the bounds, by kind.
        confidence: probability that a plan chosen by its bound keeps it.
        cores: cores of the machine.
        seconds: duration.
        plans: for each k the Pareto front of bound and latency, fastest first.
    """

    created: datetime
    queries: Literal["given", "sampled"]
    kinds: dict[str, int]
    confidence: float
    cores: int
    seconds: float
    plans: tuple[CalibratedPlan, ...]


class ConsideredFacts(_Part):
    """A structure that a build with a target tried on a sample.

    Attributes:
        kind, dims, options: see :class:`ShortlistFacts`.
        memory: predicted memory in bytes of the structure and the list of duplicates, over all rows.
        recall: best recall@10 on the sample within the target's latency.
        milliseconds: predicted latency of the plan that would be chosen; None if no plan reaches the target's recall.
    """

    kind: str
    dims: int
    options: dict[str, Any]
    memory: int
    recall: float
    milliseconds: float | None


class TargetFacts(_Part):
    """The target of a build.

    Attributes:
        recall, milliseconds, memory: the requested values; memory in bytes.
        considered: the structures that were tried, the chosen one first.
        missed: a sentence for each requested value that was not reached; empty before calibration.
    """

    recall: float | None
    milliseconds: float | None
    memory: int | None
    considered: tuple[ConsideredFacts, ...]
    missed: tuple[str, ...] = ()


class OptionFacts(_Part):
    """Build options by origin. A rebuild inherits what was given, and decides again what was chosen.

    Attributes:
        given: options that differ from their defaults, by the name they have in
            :class:`indexer.building.build.BuildOptions`, and the corpus' ``fields``.
        chosen: names of the options that the build decided, among ``dims`` and ``shortlist``. Their values are in the
            manifest's ``shortlist``.
    """

    given: dict[str, Any]
    chosen: tuple[str, ...]


class FileFacts(_Part):
    """Size and checksum of a file."""

    size: int
    sha256: str


class Manifest(_Part):
    """One generation of an index, stored as ``manifest.json`` beside its files.

    Attributes:
        format_version: as read; :meth:`write` writes the current one.
        index_id: identifies the index across its generations and snapshots. None in format 2.
        created: time of the build.
        model: the encoder of documents.
        query_encoder: the encoder of queries; ``model`` encodes them too if None, which is all this version supports.
        dimension: the full dimension D.
        metric: of scores.
        rows: number of vectors.
        documents: number of documents. Equal to ``rows`` in format 2.
        passages: how documents are split; each is one passage, and so one row, if None, which is all this version
            supports.
        vectors: storage type of the full vectors.
        shortlist, corpus, lexical, target, calibration: see their classes. There is no lexical index, no target or no
            calibration if None.
        default_search: what a search uses unless it specifies otherwise.
        options: build options by origin. None in format 2, which did not record it.
        versions: of the libraries that determine the content.
        files: every other file of the generation.
    """

    format_version: Literal[2, 3] = FORMAT_VERSION
    index_id: UUID | None = None
    created: datetime
    model: ModelFacts
    query_encoder: None = None
    dimension: int
    metric: Literal["cosine"] = "cosine"
    rows: int
    documents: int
    passages: None = None
    vectors: Storage
    shortlist: ShortlistFacts
    corpus: CorpusFacts
    default_search: Literal["vectors"] = "vectors"
    options: OptionFacts | None = None
    versions: dict[str, str]
    files: dict[str, FileFacts]
    target: TargetFacts | None = None
    calibration: CalibrationFacts | None = None
    lexical: LexicalFacts | None = None

    @property
    def plans(self) -> tuple[CalibratedPlan, ...]:
        """The calibrated plans; empty if the generation is not calibrated."""
        return self.calibration.plans if self.calibration else ()

    @classmethod
    def read(cls, directory: str | Path) -> Manifest:
        """Read a generation's manifest and compare the sizes of its files.

        Raises:
            BundleFormatError: unsupported format version, or not a manifest.
            BundleCorruptError: the manifest is missing or damaged, a file is missing, or a size differs.
        """
        directory = Path(directory)
        manifest = cls.read_alone(directory)
        for name, facts in manifest.files.items():
            file = directory / name
            size = file.stat().st_size if file.is_file() else None
            if size != facts.size:
                state = "is missing" if size is None else f"has {size} bytes"
                raise BundleCorruptError(f"{file} {state}, the manifest says {facts.size} bytes")
        return manifest

    @classmethod
    def read_alone(cls, directory: str | Path) -> Manifest:
        """Read a generation's manifest without looking at its files.

        Raises:
            BundleFormatError: unsupported format version, or not a manifest.
            BundleCorruptError: the manifest is missing, cannot be read, or does not match its checksum.
        """
        path = Path(directory) / FILE_NAME
        try:
            whole = path.read_bytes()
            content = json.loads(whole)
        except FileNotFoundError:
            raise BundleCorruptError(
                f"{path} is missing: if CURRENT names the wrong generation, publish another with "
                "mrl index rollback INDEX --to N"
            ) from None
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"cannot read {path}: {error}") from error
        found = content.get("format_version") if isinstance(content, dict) else None
        if found not in _READABLE:
            newer = isinstance(found, int) and found > FORMAT_VERSION
            raise BundleFormatError(
                f"{path} has format version {found!r}, this program reads {' and '.join(map(str, _READABLE))}: "
                + ("upgrade this program" if newer else "build the index again with this version")
                + ", or use the version that wrote it"
            )
        # The first manifests of format 2 have no checksum.
        checksum = content.pop("checksum", None)
        if checksum is not None and checksum != _checksum(whole):
            raise BundleCorruptError(
                f"{path} does not match its checksum: restore it, go back with mrl index rollback, or build again"
            )
        try:
            return cls.model_validate(_from_format_2(content) if found == 2 else content)
        except ValidationError as error:
            later = [problem["loc"] for problem in error.errors() if problem["type"] in _NEWER]
            if later:
                names = ", ".join(".".join(map(str, place)) for place in later)
                raise BundleFormatError(
                    f"{path} uses what this version does not support ({names}): upgrade this program, or use the "
                    "version that wrote it"
                ) from error
            raise BundleFormatError(f"{path} is not a manifest of version {found}: {error}") from error

    def write(self, directory: str | Path) -> None:
        """Write ``manifest.json`` in the current format, replacing an earlier one atomically."""
        directory = Path(directory)
        partial = directory / (FILE_NAME + ".partial")
        current = self.model_copy(update={"format_version": FORMAT_VERSION})
        whole = (current.model_dump_json(indent=2) + "\n").encode()
        end = f',\n  "checksum": "{hashlib.sha256(whole).hexdigest()}"\n}}\n'
        partial.write_bytes(whole.removesuffix(b"\n}\n") + end.encode())
        fsync(partial)
        partial.replace(directory / FILE_NAME)
        fsync(directory)

    def differing_files(self, directory: str | Path, names: Iterable[str] | None = None) -> list[str]:
        """Return the files, among ``names`` if given, whose sha256 differs from the recorded one."""
        directory = Path(directory)
        names = self.files if names is None else names
        return [name for name in names if file_facts(directory / name).sha256 != self.files[name].sha256]

    def check(self, directory: str | Path, names: Iterable[str] | None = None) -> None:
        """Compare the checksums of all files, or of ``names`` if given.

        Raises:
            BundleCorruptError: some differ; the message names them and says what to do.
        """
        try:
            differing = self.differing_files(directory, names)
        except OSError as error:
            raise BundleCorruptError(f"cannot read {directory}: {error}") from error
        if differing:
            raise BundleCorruptError(
                f"{directory}: {', '.join(differing)} differ from the manifest: restore them, go back with "
                "mrl index rollback, or build again"
            )


def _from_format_2(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of format 2 with the fields that format 3 requires; the files of both are the same."""
    return {**content, "documents": content.get("rows")}


def _checksum(whole: bytes) -> str | None:
    """Return the checksum at the end of a manifest; None if it is not that of the rest."""
    found = _CHECKSUM.search(whole)
    if found is None:
        return None
    written = found[1].decode()
    return written if hashlib.sha256(whole[: found.start()] + b"\n}\n").hexdigest() == written else None


def file_facts(path: Path) -> FileFacts:
    """Measure a file."""
    with path.open("rb") as file:
        return FileFacts(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that determine the content of an index."""
    found = {}
    for package in (
        "adaptive-retrieval",
        "bm25s",
        "faiss-cpu",
        "faiss-gpu-cuvs",
        "numpy",
        "PyStemmer",
        "rabitqlib",
        "tokenizers",
        "sentence-transformers",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
