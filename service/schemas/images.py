"""Images in requests: base64 of an image file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from models import ImageError, InvalidOptionError
from models.data.images import image_size


def decode_images(texts: Sequence[str], param: str, max_pixels: int) -> list[bytes]:
    """Decode base64 and check the image headers, before anything decompresses the images.

    Args:
        texts: base64 of image files.
        param: the option they were given in.
        max_pixels: of all images together; a pixel takes three bytes of memory.

    Raises:
        InvalidOptionError: an item is not base64, or not an image of a known format, or there are too many pixels.
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
        if pixels > max_pixels:
            raise InvalidOptionError(
                name, f"{pixels:,} pixels in the images up to {name}: this service allows {max_pixels:,} in a request"
            )
        images.append(image)
    return images
