"""The documented place of the wrapper for MTEB."""

from models.evaluation.mteb_model import MtebModel

__all__ = ["MtebModel"]
