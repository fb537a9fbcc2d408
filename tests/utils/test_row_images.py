"""Photographs: upright, whole, and tolerant of broken EXIF data."""

import io

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.errors import DatasetError
from ovparts_hf.utils.row_images import image_size, load_image


def jpeg(orientation=None, mode="RGB", exif=None):
    values = np.zeros((20, 30, 3), np.uint8)
    values[:10, :10] = 255
    options = {}
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
    if exif is not None:
        options["exif"] = exif
    buffer = io.BytesIO()
    Image.fromarray(values).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_size_is_that_of_the_upright_image(orientation):
    data = jpeg(orientation)
    image = load_image(data)
    assert image_size(data, "a.jpg") == image.size[::-1] == ((30, 20) if orientation in (5, 6, 7, 8) else (20, 30))


def test_turned_as_the_camera_says():
    bright = np.asarray(load_image(jpeg(orientation=6)).convert("L")) > 128  # to be turned clockwise
    assert bright[:9, 11:].all()
    assert not bright[11:].any()


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_always_rgb(mode):
    assert load_image(jpeg(mode=mode)).mode == "RGB"


@pytest.mark.parametrize("exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00"])
def test_broken_exif_counts_as_none(exif):
    data = jpeg(exif=exif)
    assert image_size(data, "a.jpg") == (20, 30)
    assert load_image(data).size == (30, 20)


@pytest.mark.parametrize("data", [b"", b"text", jpeg()[:200], jpeg()[:-40]])
def test_broken_files_are_named(data):
    with pytest.raises(DatasetError, match="a.jpg is not a whole image"):
        image_size(data, "a.jpg")
