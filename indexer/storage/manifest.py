"""The manifest: what a generation holds, how it was made, and the checksum of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from indexer.errors import BundleCorruptError, BundleFormatError
from indexer.plan import SCAN, FunnelStage, SecondLook
from indexer.storage.fsync import fsync
from indexer.storage.vectors import Storage
from models.encoders.base import Encoder, Prompts
from models.nesting import Nesting

FILE_NAME = "manifest.json"
FORMAT_VERSION: Final = 2
_CHECKSUM: Final = re.compile(rb',\n  "checksum": "([0-9a-f]{64})"\n}\n\Z')
"""The end of the file: the sha256 of what the file would be without it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFacts(_Part):
    """The model whose vectors the index holds."""

    name: str
    content_hash: str
    sizes: tuple[int, ...]
    weights: tuple[float, ...]
    query_prompt: str = ""
    document_prompt: str = ""

    @classmethod
    def of(cls, encoder: Encoder) -> ModelFacts:
        """Take the facts from an encoder."""
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
        """The prompts the documents were encoded with, and the queries must be."""
        return Prompts(self.query_prompt, self.document_prompt)


class ShortlistFacts(_Part):
    """The shortlist structure: its kind, size Ds and build options."""

    kind: str
    dims: int
    options: dict[str, Any]


class CorpusFacts(_Part):
    """Where the documents came from, and in which fields of them their title and text are."""

    files: list[dict[str, Any]]
    rejected: int
    text_fields: tuple[str, ...] = ("title", "text")


class LexicalFacts(_Part):
    """The lexical index.

    Attributes:
        fields: payload fields whose words are in it, named as in filters.
        language: of the stemmer; words are as they were written where None.
        words: how many different ones there are.
        mean_length: words a document.
        k1, b: BM25's constants.
    """

    fields: tuple[str, ...]
    language: str | None
    words: int
    mean_length: float
    k1: float
    b: float


class CalibratedPlan(_Part):
    """A way to search, measured.

    Attributes:
        k, structure, dims, candidates, effort, stages: as in :class:`indexer.plan.Plan`.
        recall: recall@k against exact search at D, the mean over the queries of the hardest kind.
        recall_low: a lower bound on the mean recall of further queries, for each kind of queries.
        milliseconds: time of one query on one thread, without encoding it; see :class:`indexer.plan.Promise`.
        gap: of the stop rule, taken from the k-th candidate; all candidates are read where None.
        second_look: which queries are searched for again; none where None.
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
        """Whether it looks at every row at the full size, so that its recall needs no measuring."""
        return self.structure == SCAN and self.dims == self.stages[-1].dims


class CalibrationFacts(_Part):
    """What calibration measured.

    Attributes:
        created: when.
        queries: ``given``, or ``sampled`` from the corpus.
        kinds: how many queries the bounds come from, by kind.
        confidence: the probability with which a plan chosen by its bound holds it.
        cores: of the machine.
        seconds: it took.
        plans: for each k those that no other beats in both bound and time, the fastest first.
    """

    created: datetime
    queries: Literal["given", "sampled"]
    kinds: dict[str, int]
    confidence: float
    cores: int
    seconds: float
    plans: tuple[CalibratedPlan, ...]


class ConsideredFacts(_Part):
    """A structure that a build with a target considered, tried on a sample.

    Attributes:
        kind, dims, options: as in :class:`ShortlistFacts`.
        memory: bytes predicted for the whole index.
        recall: recall@10 of its best plan on the sample within the target's time.
        milliseconds: predicted for the plan that would be taken; None where none holds the target's recall.
    """

    kind: str
    dims: int
    options: dict[str, Any]
    memory: int
    recall: float
    milliseconds: float | None


class TargetFacts(_Part):
    """What a build was to reach.

    Attributes:
        recall, milliseconds, memory: what was asked for; memory in bytes.
        considered: the structures that were tried, the one taken first.
        missed: what was not reached, in words; nothing where all was, or it was not calibrated.
    """

    recall: float | None
    milliseconds: float | None
    memory: int | None
    considered: tuple[ConsideredFacts, ...]
    missed: tuple[str, ...] = ()


class FileFacts(_Part):
    """Size and checksum of a file."""

    size: int
    sha256: str


class Manifest(_Part):
    """One generation of an index; ``manifest.json`` beside its files."""

    format_version: Literal[2] = FORMAT_VERSION
    created: datetime
    model: ModelFacts
    dimension: int
    metric: Literal["cosine"] = "cosine"
    rows: int
    vectors: Storage
    shortlist: ShortlistFacts
    corpus: CorpusFacts
    versions: dict[str, str]
    files: dict[str, FileFacts]
    target: TargetFacts | None = None
    calibration: CalibrationFacts | None = None
    lexical: LexicalFacts | None = None

    @property
    def plans(self) -> tuple[CalibratedPlan, ...]:
        """The calibrated plans; none where the generation was not calibrated."""
        return self.calibration.plans if self.calibration else ()

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Read a generation's manifest and check that its files have the sizes it says.

        Raises:
            BundleFormatError: another format version, or not a manifest.
            BundleCorruptError: the manifest or a file is missing, or a size differs.
        """
        path = directory / FILE_NAME
        try:
            whole = path.read_bytes()
            content = json.loads(whole)
        except FileNotFoundError:
            raise BundleCorruptError(
                f"{path} is missing: if CURRENT should name another generation, mrl index rollback INDEX --to N does it"
            ) from None
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"cannot read {path}: {error}") from error
        found = content.get("format_version") if isinstance(content, dict) else None
        if found != FORMAT_VERSION:
            newer = isinstance(found, int) and found > FORMAT_VERSION
            raise BundleFormatError(
                f"{path} has format version {found!r}, this program reads {FORMAT_VERSION}: "
                + ("upgrade this program" if newer else "build the index again with this version")
                + ", or use the version that wrote it"
            )
        # A manifest of before there were checksums has none.
        checksum = content.pop("checksum", None)
        if checksum is not None and checksum != _checksum(whole):
            raise BundleCorruptError(
                f"{path} is not as it was written: restore it, go back with mrl index rollback, or build again"
            )
        try:
            manifest = cls.model_validate(content)
        except ValidationError as error:
            raise BundleFormatError(f"{path} is not a manifest of version {FORMAT_VERSION}: {error}") from error
        for name, facts in manifest.files.items():
            file = directory / name
            size = file.stat().st_size if file.is_file() else None
            if size != facts.size:
                state = "is missing" if size is None else f"has {size} bytes"
                raise BundleCorruptError(f"{file} {state}, the manifest says {facts.size} bytes")
        return manifest

    def write(self, directory: Path) -> None:
        """Write ``manifest.json``, or replace it, whole or not at all."""
        partial = directory / (FILE_NAME + ".partial")
        whole = (self.model_dump_json(indent=2) + "\n").encode()
        end = f',\n  "checksum": "{hashlib.sha256(whole).hexdigest()}"\n}}\n'
        partial.write_bytes(whole.removesuffix(b"\n}\n") + end.encode())
        fsync(partial)
        partial.replace(directory / FILE_NAME)
        fsync(directory)

    def differing_files(self, directory: Path, names: Iterable[str] | None = None) -> list[str]:
        """Return the names of files, of those named where ``names`` is given, whose sha256 is not what it was."""
        names = self.files if names is None else names
        return [name for name in names if file_facts(directory / name).sha256 != self.files[name].sha256]

    def check(self, directory: Path, names: Iterable[str] | None = None) -> None:
        """Read every file, or those named, and refuse any that is not as it was written.

        Raises:
            BundleCorruptError: some are not; the message names them and says what to do.
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


def _checksum(whole: bytes) -> str | None:
    """Return the checksum that a manifest ends in; None where it is not that of the rest."""
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
    """Versions of what decides the content of an index."""
    found = {}
    for package in (
        "adaptive-retrieval",
        "bm25s",
        "faiss-cpu",
        "faiss-gpu-cuvs",
        "numpy",
        "PyStemmer",
        "tokenizers",
        "sentence-transformers",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
