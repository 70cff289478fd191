"""Helpers of the tests of the watch: a view that is searched exactly in plain NumPy."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from indexer.plan import FunnelStage, Plan, Promise
from models import truncate

D, K = 8, 5
SHORTLIST = Plan(K, 4, 20, None, (FunnelStage(D, K),), "hnsw")
PROMISED = replace(SHORTLIST, promise=Promise(0.97, 0.95, 0.1))


class NaiveView:
    """A scan in plain NumPy; clearing ``hold`` blocks it."""

    def __init__(self, rows, generation="000001"):
        self.rows = rows
        self.opened = SimpleNamespace(path=Path("generations", generation))
        self.hold = threading.Event()
        self.hold.set()

    def rank(self, queries, plan, selection, clock, threads):
        assert plan.single
        assert len(queries) == threads == 1
        self.hold.wait(10)
        scores = truncate(queries, plan.dims) @ truncate(self.rows, plan.dims).T
        if selection is not None:
            scores[:, np.setdiff1d(np.arange(len(self.rows)), selection.base.rows)] = -np.inf
        rows = np.argsort(-scores, axis=1, kind="stable")[:, : plan.k]
        best = np.take_along_axis(scores, rows, axis=1)
        missing = max(0, plan.k - best.shape[1])
        best = np.pad(best, [(0, 0), (0, missing)], constant_values=-np.inf)
        return best, np.where(best > -np.inf, np.pad(rows, [(0, 0), (0, missing)], constant_values=-1), -1)
