"""Progress events of building, compacting, extending and calibrating an index; see :mod:`models.progress`.

Match on the event's type, or take all of them as :class:`IndexStage`::

    def report(event: Event) -> None:
        match event:
            case EncodingDocuments(done=done, rejected=rejected):
                print(f"{done} rows read, {rejected} rejected")
            case IndexStage(label=label, done=done, total=total):
                print(label, done, "of", total)

    build_index(corpus, encoder, "index", report=report)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.progress import Counted, Event, Report, silent

__all__ = [
    "BuildingLexicalIndex",
    "BuildingShortlist",
    "Calibrating",
    "ChoosingStructure",
    "ComputingChecksums",
    "Copying",
    "EncodingDocuments",
    "Event",
    "IndexStage",
    "Publishing",
    "Report",
    "silent",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStage(Counted):
    """Base of the stages of a build, an append, a compaction and a calibration.

    The command line draws a bar for every subclass, by its label, without further code.

    Attributes:
        label: a short name to show.
    """

    label: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingDocuments(IndexStage):
    """Rows of the corpus are read, encoded and stored; the total is not known.

    Attributes:
        done: rows read, rejected ones included.
        rejected: rows rejected so far.
    """

    label: ClassVar[str] = "encode"
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying(IndexStage):
    """A compaction copies the documents that remain."""

    label: ClassVar[str] = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosingStructure(IndexStage):
    """Shortlist structures are tried on a sample; the total is an estimate."""

    label: ClassVar[str] = "structure"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingShortlist(IndexStage):
    """The shortlist structure reads the prefixes of all rows, perhaps several times."""

    label: ClassVar[str] = "shortlist"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingLexicalIndex(IndexStage):
    """The words of all documents are indexed."""

    label: ClassVar[str] = "lexical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputingChecksums(IndexStage):
    """Checksums of the finished files are computed; not counted."""

    label: ClassVar[str] = "checksums"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrating(IndexStage):
    """Search plans are measured; the total is an estimate."""

    label: ClassVar[str] = "calibrate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing(IndexStage):
    """The new generation is complete and becomes the published one; not counted.

    Attributes:
        generation: its name.
    """

    label: ClassVar[str] = "publish"
    generation: str
