"""The former place of :func:`read_image`, which model cards name."""

from models.data.images import read_image

__all__ = ["read_image"]
