"""Images in requests: base64 of what is in a file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from models.data.images import image_size
from models.errors import ImageError, InvalidOptionError


def decode_images(texts: Sequence[str], param: str, most_pixels: int) -> list[bytes]:
    """Decode images, and look at their beginnings before anything reads them whole.

    Args:
        texts: base64 of image files.
        param: the option they were given in.
        most_pixels: what all of them may have together, each as three bytes in memory.

    Raises:
        InvalidOptionError: one is not base64, or no image of a known kind, or they have too many pixels.
    """
    images, pixels = [], 0
    for number, text in enumerate(texts):
        name = param if param == "image" else f"{param}.{number}"
        try:
            image = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidOptionError(name, f"{name} is not base64: {error}") from None
        try:
            width, height = image_size(image)
        except ImageError as error:
            raise InvalidOptionError(name, str(error)) from error
        pixels += width * height
        if pixels > most_pixels:
            raise InvalidOptionError(
                name, f"{pixels:,} pixels in the images up to {name}: this service allows {most_pixels:,} in a request"
            )
        images.append(image)
    return images
