import base64
import io

import pytest
from PIL import Image

from models import InvalidOptionError
from service.schemas.images import decode_images


def png(width, height):
    """The base64 of a PNG, and its bytes."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode(), file.getvalue()


def test_images_are_decoded_in_order():
    (first, raw), (second, other) = png(3, 2), png(2, 2)
    assert decode_images([first, second], "images", 10) == [raw, other]
    assert decode_images([], "images", 10) == []


@pytest.mark.parametrize(
    ("texts", "param", "name", "message"),
    [
        (["%%%"], "image", "image", "image is not base64"),
        ([""], "image", "image", "no image of a known kind"),
        ([png(1, 1)[0], "AAAA"], "images", "images.1", "no image of a known kind"),
        ([png(1, 1)[0], "é"], "images", "images.1", "images.1 is not base64"),
        ([png(5, 5)[0]], "image", "image", "25 pixels in the images up to image: this service allows 24"),
        ([png(4, 4)[0], png(3, 3)[0]], "images", "images.1", "25 pixels in the images up to images.1"),
    ],
)
def test_what_is_not_an_image_or_too_large_is_refused_by_name(texts, param, name, message):
    with pytest.raises(InvalidOptionError, match=message) as refused:
        decode_images(texts, param, 24)
    assert refused.value.param == name
