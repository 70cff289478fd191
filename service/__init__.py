"""HTTP over an opened index, and the ``mrl`` command."""

from service.app import create_app
from service.settings import Settings

__all__ = ["Settings", "create_app"]
