"""Documented location of :class:`models.evaluation.mteb_model.MtebModel` (extra ``mteb``)."""

from models.evaluation.mteb_model import MtebModel

__all__ = ["MtebModel"]
