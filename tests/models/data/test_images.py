import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models import DataError
from models.data import images as images_module
from models.data.images import image_size, is_image_file, read_image
from models.errors import ImageError


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gradient(width=24, height=16, mode="RGB"):
    values = np.add.outer(np.arange(height) * 9, np.arange(width) * 3).astype(np.uint8)
    return Image.fromarray(values).convert(mode)


def bomb(width, height):
    """A PNG whose header alone says how large it is."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_kinds_are_read_alike_from_a_path_and_from_bytes(tmp_path, kind):
    image = gradient(mode="L").convert("RGB")
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    path = tmp_path / f"image.{kind.lower()}"
    path.write_bytes(data)
    assert is_image_file(path)
    for source in (path, data):
        assert image_size(source) == (24, 16)
        np.testing.assert_array_equal(np.asarray(read_image(source)), np.asarray(image))


def test_an_image_is_turned_upright_and_so_is_its_size():
    image = gradient()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees
    data = encoded(image, "PNG", exif=exif)
    assert image_size(data) == (16, 24)
    np.testing.assert_array_equal(np.asarray(read_image(data)), np.rot90(np.asarray(image), -1))


def test_transparency_is_over_white_and_sixteen_bits_are_scaled():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert read_image(encoded(clear)).getpixel((0, 0)) == (255, 255, 255)
    deep = Image.fromarray(np.full((4, 4), 0x8000, np.uint16))
    assert read_image(encoded(deep)).getpixel((0, 0)) == (128, 128, 128)
    with pytest.raises(ImageError, match="pixels of mode F, whose range is unknown"):
        read_image(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no image of a known kind: PNG, JPEG"),
        (b"hello, this is text", "no image of a known kind"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a known kind"),
        (bomb(8001, 8001), "8001 x 8001 pixels: allowed are 64,000,000"),
        (bomb(10_000, 9_500), "more than 64,000,000 pixels"),
        (bomb(100_000, 100_000), "more than 64,000,000 pixels"),
        (bomb(1000, 9), "1000 x 9 pixels: one side is more than 100 times the other"),
    ],
)
def test_what_is_no_image_or_too_large_is_refused_by_name_before_it_is_read(tmp_path, data, problem):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    for reader in (image_size, read_image):
        with pytest.raises(ImageError, match=problem) as caught:
            reader(path)
        assert str(caught.value) == f"image {path}: {caught.value.reason}"
        with pytest.raises(ImageError, match=f"image of {len(data)} bytes: .*{problem}"):
            reader(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_an_image_that_is_cut_off_is_refused(kind, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    read_image(data)
    with pytest.raises(ImageError):
        read_image(data[: int(share * len(data))])


def test_damage_anywhere_is_an_image_error_or_an_image():
    data = encoded(gradient())
    for place in range(len(data)):
        try:
            read_image(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        except ImageError:
            continue


def test_files_that_cannot_be_opened_or_are_too_large_are_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"image .*gone\.png: No such file or directory$"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="Is a directory"):
        read_image(tmp_path)
    monkeypatch.setattr(images_module, "MOST_BYTES", 10)
    (tmp_path / "a.png").write_bytes(encoded(gradient()))
    for source in (tmp_path / "a.png", encoded(gradient())):
        with pytest.raises(ImageError, match="bytes: allowed are 10"):
            read_image(source)
