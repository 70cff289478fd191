"""Helpers of the tests of plans: vectors with their energy in the first dimensions, and a graph over a prefix."""

import numpy as np

from indexer.plan import FunnelStage, Plan
from indexer.search.distinct import DistinctPrefixes, DistinctRows
from indexer.search.ranker import Ranker
from indexer.shortlist import shortlist_options, shortlist_type
from indexer.storage.vectors import StoredVectors
from models import truncate

D, DS, K = 32, 16, 10


def unit(count, seed):
    return truncate(np.random.default_rng(seed).normal(size=(count, D)) * np.linspace(2, 0.3, D), D)


def make_ranker():
    vectors = StoredVectors(unit(4000, 1).astype(np.float16))
    distinct = DistinctRows.find(vectors)
    shortlist = shortlist_type("hnsw").build(DistinctPrefixes(vectors, distinct, DS), shortlist_options("hnsw", {}))
    return Ranker(vectors, shortlist, distinct)


def graph_plan(effort=12, *, candidates=14, structure="hnsw", **more):
    return Plan(K, DS, candidates, effort, (FunnelStage(D, K),), structure, **more)
