"""Recall monitoring: a sampled share of live queries is repeated exactly in the background."""

from indexer.watch.facts import Estimate, LevelFacts, WatchFacts, watch_facts
from indexer.watch.watcher import RecallWatch, WatchOptions

__all__ = ["Estimate", "LevelFacts", "RecallWatch", "WatchFacts", "WatchOptions", "watch_facts"]
