"""Reading images safely: bounded in bytes and pixels, upright, RGB; what cannot be read says why."""

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
"""Long side over short side, at most: models scale the short side up to theirs, and the long one with it."""
# Pillow's other formats are rare, and some of them run programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

ImageSource = Path | bytes
"""An image file, or what is in one."""


def is_image_file(path: Path) -> bool:
    """Tell by its name whether a file is an image of a kind that :func:`read_image` knows."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def image_size(source: ImageSource) -> tuple[int, int]:
    """Return width and height in pixels of the upright image, from the beginning of the file alone.

    Raises:
        ImageError: not an image, or one out of bounds. Whether it is whole is not known before it is read.
    """
    with _opened(source) as image:
        width, height = image.size
        # Orientations 5 to 8 lie on their side. PNG's own getexif would read all of the image first.
        return (height, width) if Image.Image.getexif(image).get(0x0112, 1) >= 5 else (width, height)


def read_image(source: ImageSource) -> Image.Image:
    """Read an image whole: RGB, turned upright by its EXIF orientation, transparency over white, a film's first frame.

    Raises:
        ImageError: the file cannot be read, is no image of a known kind, is cut off, or has more than ``MOST_BYTES``,
            ``MOST_PIXELS`` or ``MOST_STRETCHED``.
    """
    with _opened(source) as image:
        image.load()
        return _rgb(ImageOps.exif_transpose(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would cut 16-bit values off at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}, whose range nothing tells; save it with 8 or 16 bits")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("RGB")


@contextmanager
def _opened(source: ImageSource) -> Iterator[Image.Image]:
    """Open an image that is within the bounds; whatever goes wrong until it is closed is an ``ImageError``."""
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
    except Exception as error:  # Pillow's decoders raise of every kind on broken files
        raise ImageError(source, getattr(error, "strerror", None) or str(error) or type(error).__name__) from error


def _check_bounds(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels: allowed are {MOST_PIXELS:,}")
    if max(width, height) > MOST_STRETCHED * min(width, height):
        raise ValueError(f"{width} x {height} pixels: one side is more than {MOST_STRETCHED} times the other")


def _stream(source: ImageSource) -> IO[bytes]:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > MOST_BYTES:
        raise ImageError(source, f"{size:,} bytes: allowed are {MOST_BYTES:,}")
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
