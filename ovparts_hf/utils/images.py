"""Opens images, those that users give and those stored in datasets: upright, in 8-bit RGB."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import DatasetError, ImageError, OVPartsError
from .content import recognise, recognise_file
from .download import download, without_secrets
from .files import first_line, user_path

if TYPE_CHECKING:
    import torch

ImageInput: TypeAlias = "Image.Image | np.ndarray | torch.Tensor | str | Path"
"""A PIL image; an array (height, width) or (height, width, 3 or 4); a tensor (height, width) or (3 or 4, height,
width); a path; or a URL."""

logger = logging.getLogger(__name__)

MAX_PIXELS = 2**26  # largest image by default, 67 megapixels
MAX_DOWNLOAD = 2**27  # bytes
SECONDS = 30  # to wait for a server that does not respond
MAX_SECONDS = 120  # for all of a download
NO_IMAGES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # without pixels, or needing other programs

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, AssertionError, struct.error, Image.DecompressionBombError)
_SIDEWAYS = range(5, 9)  # EXIF orientations that swap height and width
_STILLS_OF_SEVERAL = ("MPO", "HEIF")  # a photograph with its preview, or from two lenses: the first one counts
_WHITE = (255, 255, 255, 255)


def load_image(source: ImageInput, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Opens an image.

    Args:
        source: PIL; a uint8 or uint16 array (height, width) or (height, width, 3 or 4), RGB; a path; or an http(s) URL.
            Grey, palette, CMYK and 16-bit images are converted; what is transparent becomes white. Or a tensor as torch
            has them, (height, width) or (3 or 4, height, width), of uint8, uint16, or floating point from 0 to 1.
        max_pixels: Limit of height times width; it is checked before anything is decoded.

    Returns:
        RGB, turned as the EXIF orientation says.

    Raises:
        ImageError: There is no such file, it is not a whole image, animated, of several pages or too large, or the
            array or tensor is of another shape, type or range.
    """
    with contextlib.ExitStack() as opened:  # only what is opened here is closed here
        if isinstance(source, np.ndarray):
            image, name = _from_array(source), "The array"
        elif is_tensor(source):
            image, name = _from_array(_from_tensor(source)), "The tensor"
        elif isinstance(source, Image.Image):
            image, name = source, "The image"
        elif _is_url(source):
            name = without_secrets(source)
            image = _identify(io.BytesIO(download(source, MAX_DOWNLOAD, SECONDS, MAX_SECONDS)), name, opened)
        elif isinstance(source, str | Path):
            image, name = _identify(_existing(Path(source)), str(source), opened), str(source)
        else:
            given = type(source).__name__
            raise ImageError(f"An image is a PIL image, a numpy array, a tensor, a path or a URL; a {given} was given.")
        with reading(ImageError, name, "Save or download it again."):
            _check(image, name, max_pixels)
            return _upright_rgb(image)


def image_name(source: ImageInput) -> str:
    """The name of the file that an image is read from, without folder or address; empty for what is no file."""
    if _is_url(source):
        return unquote(urlsplit(source).path).rpartition("/")[2]
    return Path(source).name if isinstance(source, str | Path) else ""


def _is_url(source: ImageInput) -> TypeGuard[str]:
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def image_dimensions(path: Path) -> tuple[int, int]:
    """(width, height) in the header of an image file; nothing is decoded, and it may be sideways."""
    with contextlib.ExitStack() as opened:
        return _identify(_existing(path), str(path), opened).size


@contextlib.contextmanager
def reading(
    error: type[OVPartsError], name: str, advice: str, kind: str = "image", data: bytes | None = None
) -> Iterator[None]:
    """Turns whatever Pillow and its plugins raise, which may be anything, into an `error` about the file `name`."""
    try:
        yield
    except OVPartsError:
        raise
    except UnidentifiedImageError as cause:
        found = None if data is None else recognise(data)
        reason = f"; it is {found}." if found else f" (in no format that can be read). {advice}"
        raise error(f"{name} is not a whole {kind}{reason}") from cause
    except _BROKEN as cause:
        reason = str(cause) or "its file was closed before it was read"
        raise error(f"{name} is not a whole {kind} ({reason}). {advice}") from cause
    except Exception as cause:
        reason = f"{type(cause).__name__}: {first_line(cause)}"
        raise error(f"{name} cannot be read: {reason}. {advice}") from cause


def decode_image(data: bytes) -> Image.Image:
    """Decodes an image file of a dataset: RGB, upright; no limit on its size, and Pillow's errors if it is broken."""
    with _open(io.BytesIO(data)) as image:
        return _upright_rgb(image)


def check_header(data: bytes, name: str) -> None:
    """Refuses an image file of a dataset, called `name` in errors, that `load_image` would for its size or its frames.

    Nothing is decoded.
    """
    with reading(DatasetError, name, "Save it again.", data=data), _open(io.BytesIO(data)) as image:
        _check(image, name, MAX_PIXELS, DatasetError)


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """Upright (height, width) of an image file of a dataset, called `name` in errors, after seeing that it is whole."""
    advice = "Unpack or download it again."
    with reading(DatasetError, name, advice, data=data), _open(io.BytesIO(data)) as image:
        width, height = image.size
        sideways = _orientation(image) in _SIDEWAYS
        image.draft("L", (1, 1))  # the cheapest decoding that still reads all of a JPEG
        image.load()
    return (width, height) if sideways else (height, width)


def image_suffixes() -> set[str]:
    """Suffixes of files that can be opened, in lower case: ".jpg", ".png", ..."""
    _can_read_heif()
    suffixes = Image.registered_extensions().items()  # which also registers what can be opened
    return {suffix for suffix, kind in suffixes if kind in Image.OPEN and kind not in NO_IMAGES}


def find_images_below(folder: Path, out: Path | None = None) -> list[Path]:
    """Files with the suffix of an image in a folder and its subfolders, sorted; nothing hidden, nothing in `out`."""
    suffixes, excluded = image_suffixes(), None if out is None else out.resolve()
    files = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    visible = (path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in visible if excluded not in path.resolve().parents)


def _from_array(array: np.ndarray) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.dtype.name not in ("uint8", "uint16"):
        raise ImageError(
            f"An array must be uint8 or uint16 of shape (height, width), (height, width, 3) or (height, width, 4); "
            f"given was {array.dtype} of shape {array.shape}."
        )
    if array.size == 0:
        raise ImageError(f"The array of shape {array.shape} has no pixels.")
    bits = array if array.dtype == np.uint8 else _high_bits(array)
    return Image.fromarray(np.ascontiguousarray(bits[..., 0] if array.ndim == 3 and channels == 1 else bits))


def is_tensor(value: Any) -> bool:
    """Whether this is a tensor of torch, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_tensor(tensor: torch.Tensor) -> np.ndarray:
    """An array for `_from_array`: channels last, and the numbers from 0 to 1 as 8 bits."""
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise ImageError(
            "A tensor must be of shape (height, width), (3, height, width) or (4, height, width); given was "
            f"{tuple(tensor.shape)}. Move channels to the front with tensor.permute(2, 0, 1); of a batch, make a list."
        )
    values = tensor.detach().cpu()
    if values.is_floating_point():
        values = values.float()
        if not ((values >= 0) & (values <= 1)).all():
            raise ImageError("A tensor of floating point numbers must lie between 0 and 1. Divide or clamp it.")
        values = (values * 255).round().byte()
    array = values.numpy()
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _existing(path: Path) -> Path:
    path = user_path(path)
    if os.path.isdir(path):  # noqa: PTH112  is False, where pathlib raises, for a name that is too long
        raise ImageError(f"{path} is a folder; name an image in it.")
    if not os.path.isfile(path):  # noqa: PTH113
        raise ImageError(f"{path} does not exist.")
    return path


def _open(file: BinaryIO) -> Image.Image:
    """`Image.open`, which knows HEIF once that is needed."""
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        if not _can_read_heif():
            raise
        file.seek(0)
        return Image.open(file)


@lru_cache(maxsize=1)
def _can_read_heif() -> bool:
    """Whether pillow-heif is installed; Pillow then reads HEIC, the format of many telephones."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _identify(file: Path | io.BytesIO, name: str, opened: contextlib.ExitStack) -> Image.Image:
    try:
        # Pillow would map a file that it opens by name into memory, which scrambles turned grey TIFF files.
        stream = opened.enter_context(file.open("rb")) if isinstance(file, Path) else file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of our own
            return opened.enter_context(_open(stream))
    except UnidentifiedImageError as error:
        kind = recognise(file.getvalue()) if isinstance(file, io.BytesIO) else recognise_file(file)
        advice = f"It is {kind}." if kind else "Save it as JPEG or PNG."
        raise ImageError(f"{name} is in no format that can be read as an image. {advice}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} has far too many pixels ({error}). Give a smaller one.") from error
    except Exception as error:  # a plugin may raise anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ImageError(f"{name} cannot be read: {reason}. Save it as JPEG or PNG.") from error


def _check(image: Image.Image, name: str, max_pixels: int, error: type[OVPartsError] = ImageError) -> None:
    pixels = image.width * image.height
    if not 0 < pixels <= max_pixels:
        size = f"{image.width} x {image.height} pixels"
        raise error(f"{name} has {size}; allowed are 1 to {max_pixels:,}. Give a smaller one.")
    if image.format in NO_IMAGES:
        raise error(f"{name} is a {image.format} file, which is not an image. Save it as JPEG or PNG.")
    # They are not counted: in a hostile file that takes minutes.
    if getattr(image, "is_animated", False) and image.format not in _STILLS_OF_SEVERAL:
        raise error(f"{name} has several frames or pages. Save the one to be used as JPEG or PNG.")


def _upright_rgb(image: Image.Image) -> Image.Image:
    image.load()
    try:
        image = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:
        pass  # broken EXIF counts as none
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bits(image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int | None:
    with contextlib.suppress(Exception):
        return image.getexif().get(ExifTags.Base.Orientation)
    return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits, or of more bits or floating point whose values fit 16 bits or lie between 0 and 1."""
    values = np.asarray(image)
    if not (values.min() >= 0 and values.max() <= 65535):
        raise ValueError(f"grey values from {values.min()} to {values.max()}, where 0 to 65535 are allowed")
    if image.mode == "F" and values.max() <= 1:
        values = (values * 255).round()
    elif values.max() > 255 or image.mode.startswith("I;16"):
        values = _high_bits(values.astype(np.uint16))
    return Image.fromarray(values.astype(np.uint8))


def _high_bits(values: np.ndarray) -> np.ndarray:
    """uint16 to uint8; says so where the values seem to have fewer bits, which makes a nearly black image."""
    found = int(values.max()).bit_length()
    bits = next((usual for usual in (8, 10, 12) if 0 < found <= usual), None)
    if bits is not None:
        text = "An image of 16 bits has no value above %d, so it is nearly black. If its values have %d bits, %s."
        advice = "give uint8" if bits == 8 else f"shift them first: array << {16 - bits}"
        logger.warning(text, values.max(), bits, advice)
    return (values >> 8).astype(np.uint8)
