"""Build an index of a corpus, open it, search it and update it.

These names are the public face; the modules below are internal and may move::

    from indexer import BuildOptions, Corpus, Index, SearchOptions, build_index
    from models import load_encoder

    build_index(Corpus(["docs.jsonl"]), load_encoder("wordllama"), "my-index", BuildOptions())
    with Index.open("my-index") as index:
        result = index.search(["when is low tide"], SearchOptions(k=5))
"""

from indexer.building.append import APPEND_BATCH_SIZE, append_corpus
from indexer.building.build import BuildOptions, BuildResult, OnError, build_index
from indexer.building.compact import compact_index
from indexer.calibration import CalibrationOptions, Target, calibrate_index
from indexer.calibration.queries import read_queries
from indexer.calibration.structure import AUTO as AUTO_SHORTLIST
from indexer.corpus import Corpus, CorpusRow, Document, Fields, parse_document
from indexer.encoding import encode_documents, encode_images
from indexer.errors import (
    BuildError,
    BundleBusyError,
    BundleCorruptError,
    BundleError,
    BundleFormatError,
    BundleNotFoundError,
    BundleStorageError,
    ModelMismatchError,
    OutOfMemoryError,
    PrunedError,
    RejectedRowError,
)
from indexer.evaluate import HYBRID_VARIANTS, Judged, Score, evaluate_index, read_judged
from indexer.filters import Field, Filter, parse_field, parse_filter
from indexer.index import Index
from indexer.kernels.threads import cores
from indexer.lexical import LexicalOptions
from indexer.plan import (
    FunnelStage,
    Fusion,
    HybridOptions,
    Plan,
    Promise,
    SearchOptions,
    SecondLook,
    StopRule,
)
from indexer.progress import (
    BuildingLexicalIndex,
    BuildingShortlist,
    Calibrating,
    ChoosingStructure,
    ComputingChecksums,
    Copying,
    EncodingDocuments,
    IndexStage,
    Publishing,
)
from indexer.search.generation import Verify
from indexer.search.results import Hit, SearchResult, Stage
from indexer.shortlist import KINDS as SHORTLIST_KINDS
from indexer.storage.documents import StoredDocument
from indexer.storage.fsync import fsync
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal
from indexer.storage.manifest import CalibratedPlan, CalibrationFacts, LexicalFacts, Manifest, ModelFacts, TargetFacts
from indexer.storage.recorded_model import RecordedModel
from indexer.storage.snapshot import SnapshotResult, snapshot_index
from indexer.storage.vectors import Storage
from indexer.updates import Put, UpdateFacts, Updates, Upserted, update_facts
from indexer.watch import WatchFacts, WatchOptions, watch_facts

__all__ = [
    "APPEND_BATCH_SIZE",
    "AUTO_SHORTLIST",
    "HYBRID_VARIANTS",
    "SHORTLIST_KINDS",
    "BuildError",
    "BuildOptions",
    "BuildResult",
    "BuildingLexicalIndex",
    "BuildingShortlist",
    "BundleBusyError",
    "BundleCorruptError",
    "BundleError",
    "BundleFormatError",
    "BundleNotFoundError",
    "BundleStorageError",
    "CalibratedPlan",
    "Calibrating",
    "CalibrationFacts",
    "CalibrationOptions",
    "ChoosingStructure",
    "ComputingChecksums",
    "Copying",
    "Corpus",
    "CorpusRow",
    "Document",
    "EncodingDocuments",
    "Field",
    "Fields",
    "Filter",
    "FunnelStage",
    "Fusion",
    "Generations",
    "Hit",
    "HybridOptions",
    "Index",
    "IndexStage",
    "Journal",
    "Judged",
    "LexicalFacts",
    "LexicalOptions",
    "Manifest",
    "ModelFacts",
    "ModelMismatchError",
    "OnError",
    "OutOfMemoryError",
    "Plan",
    "Promise",
    "PrunedError",
    "Publishing",
    "Put",
    "RecordedModel",
    "RejectedRowError",
    "Score",
    "SearchOptions",
    "SearchResult",
    "SecondLook",
    "SnapshotResult",
    "Stage",
    "StopRule",
    "Storage",
    "StoredDocument",
    "Target",
    "TargetFacts",
    "UpdateFacts",
    "Updates",
    "Upserted",
    "Verify",
    "WatchFacts",
    "WatchOptions",
    "append_corpus",
    "build_index",
    "calibrate_index",
    "compact_index",
    "cores",
    "encode_documents",
    "encode_images",
    "evaluate_index",
    "fsync",
    "parse_document",
    "parse_field",
    "parse_filter",
    "read_judged",
    "read_queries",
    "snapshot_index",
    "update_facts",
    "watch_facts",
]
