"""A corpus becomes an index, and an index is opened and searched."""

from indexer.build import BuildOptions, BuildResult, build_index
from indexer.corpus import Corpus, Document, Fields
from indexer.errors import BuildError, BundleError, ModelMismatchError
from indexer.evaluate import evaluate_index, read_judged
from indexer.generations import Generations
from indexer.plan import Plan, SearchOptions
from indexer.results import Hit, SearchResult, Stage
from indexer.search import Index

__all__ = [
    "BuildError",
    "BuildOptions",
    "BuildResult",
    "BundleError",
    "Corpus",
    "Document",
    "Fields",
    "Generations",
    "Hit",
    "Index",
    "ModelMismatchError",
    "Plan",
    "SearchOptions",
    "SearchResult",
    "Stage",
    "build_index",
    "evaluate_index",
    "read_judged",
]
