"""Which image a task of Label Studio is about; its server keeps files under names of its own."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import DatasetError
from ...utils.files import brief
from ...utils.images import image_suffixes
from .base import ImageData
from .images import ImageBytes, ImageFolder

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
_EMBEDDED = re.compile(r"data:image/[\w.+-]+;base64,")
_LOCAL_FILE = "?d="


def find_image(data: dict[str, Any], upload: Any, folder: ImageFolder, name: str) -> ImageData:
    """The image of the task `name`, by its data and the name of its uploaded file, if there is one."""
    address = _address(data, upload, name)
    if embedded := _EMBEDDED.match(address):
        try:
            return ImageBytes(base64.b64decode(address[embedded.end() :], validate=True), f"the image of {name}")
        except (binascii.Error, ValueError) as error:
            raise DatasetError(f"The image in {name} is not base64. Export again.") from error
    path = _path(address)
    original = path.with_name(_UPLOAD_PREFIX.sub("", path.name))
    for candidate in (path, original, path.name, original.name):  # the server's folders are not those here
        try:
            return folder.find(str(candidate), name)
        except DatasetError:
            pass
    stored = [file for file in folder.files if _as_stored(file.name) == original.name]
    if len(stored) == 1:
        return folder.file(stored[0])
    return folder.find(str(original), name)  # which says what is wrong


def _address(data: dict[str, Any], upload: Any, name: str) -> str:
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value.strip()}
    images = [
        key for key in texts if _EMBEDDED.match(texts[key]) or _path(texts[key]).suffix.lower() in image_suffixes()
    ]
    if any(isinstance(value, list) and value for value in data.values()) and not images:
        raise DatasetError(f"'data' of {name} has a list where one image is needed; tasks of several are not read.")
    for key in ("image", "img", "image_url", "url"):
        if key in texts:
            return texts[key]
    if len(images) == 1:
        return texts[images[0]]
    if isinstance(upload, str) and upload:
        return upload
    raise DatasetError(f"'data' of {name} is {brief(data)}; exactly one of its values must name an image.")


def _path(address: str) -> PurePosixPath:
    """The path in an address: "/data/local-files/?d=a%20b.jpg", "s3://bucket/b.jpg", "https://host/b.jpg?x=1"."""
    if _LOCAL_FILE in address:
        return _relative(unquote(address.partition(_LOCAL_FILE)[2], errors="surrogateescape"))
    if "://" in address or address.startswith("/data/"):
        try:
            return _relative(unquote(urlsplit(address).path, errors="surrogateescape"))
        except ValueError:  # such as a broken IPv6 address
            pass
    return _relative(address)


def _relative(path: str) -> PurePosixPath:
    path = PurePosixPath(path.replace("\\", "/").lstrip("/"))
    return path if path.name else PurePosixPath("?")


def _as_stored(file_name: str) -> str:
    """The name that an uploaded file gets: blanks become "_"; only letters, digits, ".", "-" and "_" stay."""
    return re.sub(r"[^-\w.]", "", file_name.strip().replace(" ", "_"))
