"""Calibration: measures the recall and latency of search plans, and chooses the plan of a search."""

from indexer.calibration.choose import DEFAULT_RECALL, choose_plan
from indexer.calibration.options import CalibrationOptions
from indexer.calibration.recalibrate import calibrate_index
from indexer.calibration.target import Target

__all__ = [
    "DEFAULT_RECALL",
    "CalibrationOptions",
    "Target",
    "calibrate_index",
    "choose_plan",
]
