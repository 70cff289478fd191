"""Reads images safely: bounded in bytes and pixels, upright, RGB; errors say why an image cannot be read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import ImageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MOST_BYTES = 256 << 20
MOST_PIXELS = 64_000_000
MOST_STRETCHED = 100
"""Largest aspect ratio: models scale the short side up to their input size, and the long side with it."""
# Pillow's other formats are rare, and some of them run programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

ImageSource = str | Path | bytes
"""The path of an image file, or the contents of one."""


def is_image_file(path: str | Path) -> bool:
    """Return whether :func:`read_image` can read a file, by its name."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def image_size(source: ImageSource) -> tuple[int, int]:
    """Return width and height in pixels of the upright image, reading only the beginning of the file.

    Raises:
        ImageError: not an image, or out of bounds. A truncated image is detected only by :func:`read_image`.
    """
    with _opened(source) as image:
        width, height = image.size
        # Orientations 5 to 8 are rotated by 90 degrees. PNG's own getexif would read the whole image first.
        return (height, width) if Image.Image.getexif(image).get(0x0112, 1) >= 5 else (width, height)


def read_image(source: ImageSource) -> Image.Image:
    """Read an image as RGB: upright by its EXIF orientation, transparency over white, first frame of an animation.

    Raises:
        ImageError: the file cannot be read, is not a known kind of image, is truncated, or exceeds ``MOST_BYTES``,
            ``MOST_PIXELS`` or ``MOST_STRETCHED``.
    """
    with _opened(source) as image:
        image.load()
        return _rgb(ImageOps.exif_transpose(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit values at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}, whose range is unknown; save the image with 8 or 16 bits")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("RGB")


@contextmanager
def _opened(source: ImageSource) -> Iterator[Image.Image]:
    """Open an image within the bounds, and translate any error until it is closed into ``ImageError``."""
    try:
        with _stream(source) as stream, Image.open(stream, formats=_FORMATS) as image:
            _check_bounds(*image.size)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(source, f"no image of a known kind: {', '.join(_FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(source, f"more than {MOST_PIXELS:,} pixels") from None
    except Exception as error:  # Pillow's decoders raise all kinds of exceptions on broken files
        raise ImageError(source, getattr(error, "strerror", None) or str(error) or type(error).__name__) from error


def _check_bounds(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels: allowed are {MOST_PIXELS:,}")
    if max(width, height) > MOST_STRETCHED * min(width, height):
        raise ValueError(f"{width} x {height} pixels: one side is more than {MOST_STRETCHED} times the other")


def _stream(source: ImageSource) -> IO[bytes]:
    size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    if size > MOST_BYTES:
        raise ImageError(source, f"{size:,} bytes: allowed are {MOST_BYTES:,}")
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")
