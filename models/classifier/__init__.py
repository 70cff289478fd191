"""Nested classifiers of texts and images: heads, adaptive cascades, training."""

from models.classifier.classifier import Classifier

__all__ = ["Classifier"]
