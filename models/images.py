"""Former location of :func:`models.read_image`; model cards written by earlier versions import it from here."""

from models.data.images import read_image

__all__ = ["read_image"]
