"""A corpus becomes an index, and an index is opened and searched."""

from indexer.building.append import append_corpus
from indexer.building.build import BuildOptions, BuildResult, build_index
from indexer.building.compact import compact_index
from indexer.calibration import CalibrationOptions, Target, calibrate_index
from indexer.corpus import Corpus, Document, Fields
from indexer.errors import BuildError, BundleError, ModelMismatchError
from indexer.evaluate import evaluate_index, read_judged
from indexer.filters import parse_filter
from indexer.index import Index
from indexer.lexical import LexicalOptions
from indexer.plan import FunnelStage, Plan, SearchOptions
from indexer.search.fusion import HybridOptions
from indexer.search.results import Hit, SearchResult, Stage
from indexer.search.second_look import SecondLook
from indexer.search.stopping import StopRule
from indexer.storage.generations import Generations
from indexer.storage.snapshot import SnapshotResult, snapshot_index
from indexer.updates import Put, Updates, Upserted, update_facts
from indexer.watch import WatchOptions, watch_facts

__all__ = [
    "BuildError",
    "BuildOptions",
    "BuildResult",
    "BundleError",
    "CalibrationOptions",
    "Corpus",
    "Document",
    "Fields",
    "FunnelStage",
    "Generations",
    "Hit",
    "HybridOptions",
    "Index",
    "LexicalOptions",
    "ModelMismatchError",
    "Plan",
    "Put",
    "SearchOptions",
    "SearchResult",
    "SecondLook",
    "SnapshotResult",
    "Stage",
    "StopRule",
    "Target",
    "Updates",
    "Upserted",
    "WatchOptions",
    "append_corpus",
    "build_index",
    "calibrate_index",
    "compact_index",
    "evaluate_index",
    "parse_filter",
    "read_judged",
    "snapshot_index",
    "update_facts",
    "watch_facts",
]
