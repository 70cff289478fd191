"""Adapters: a learned rotation that makes the vectors of an existing model nested."""

from models.adapter.adapter import Adapter

__all__ = ["Adapter"]
