"""Reading photographs: upright, in RGB, and known to be whole."""

from __future__ import annotations

import contextlib
import io
import struct

from PIL import ExifTags, Image, ImageOps

from ..errors import DatasetError

_BROKEN_IMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_BROKEN_EXIF = (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error)
_SIDEWAYS = range(5, 9)


def load_image(data: bytes) -> Image.Image:
    """Decodes a photograph.

    Args:
        data: The bytes of an image file.

    Returns:
        The image in mode RGB, turned as its EXIF orientation says; broken EXIF data counts as none.
    """
    image = Image.open(io.BytesIO(data))
    with contextlib.suppress(*_BROKEN_EXIF):
        image = ImageOps.exif_transpose(image)
    return image.convert("RGB")


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """Decodes a photograph to see that it is whole.

    Args:
        data: The bytes of an image file.
        name: How an error message calls the file.

    Returns:
        (height, width) in pixels after turning as the EXIF orientation says.

    Raises:
        DatasetError: The file is not an image, or only part of one.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            sideways = _orientation(image) in _SIDEWAYS
            image.draft("L", (1, 1))  # the cheapest decoding that still reads all of a JPEG
            image.load()
    except _BROKEN_IMAGE as error:
        raise DatasetError(f"{name} is not a whole image ({error}). Unpack or download it again.") from error
    return (width, height) if sideways else (height, width)


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except _BROKEN_EXIF:
        return None
