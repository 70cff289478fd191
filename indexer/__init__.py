"""A corpus becomes an index, and an index is opened and searched."""

from indexer.append import append_corpus
from indexer.build import BuildOptions, BuildResult, build_index
from indexer.calibration import CalibrationOptions, Target, calibrate_index
from indexer.compact import compact_index
from indexer.corpus import Corpus, Document, Fields
from indexer.errors import BuildError, BundleError, ModelMismatchError
from indexer.evaluate import evaluate_index, read_judged
from indexer.filters import parse_filter
from indexer.fusion import HybridOptions
from indexer.generations import Generations
from indexer.lexical import LexicalOptions
from indexer.plan import FunnelStage, Plan, SearchOptions
from indexer.results import Hit, SearchResult, Stage
from indexer.search import Index
from indexer.second_look import SecondLook
from indexer.snapshot import SnapshotResult, snapshot_index
from indexer.stopping import StopRule
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
