"""What a file really is, by its first bytes, when it is not what its name says."""

from __future__ import annotations

from pathlib import Path

HEAD = 512  # bytes that `recognise` looks at
_AGAIN = "download it again, in a browser if the server asks something"
_UNPACK = "unpack it, and give the folder"
_CONVERTED = "original annotations; give the converted release, whose masks are PNG files"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: fetch that with `git lfs pull`"),
    (b"<!doctype html", f"a web page: {_AGAIN}"),
    (b"<html", f"a web page: {_AGAIN}"),
    (b"<?xml", f"an XML document: {_AGAIN}"),
    (b"PK\x03\x04", f"a zip archive: {_UNPACK}"),
    (b"\x1f\x8b", f"a gzip archive: {_UNPACK}"),
    (b"BZh", f"a bzip2 archive: {_UNPACK}"),
    (b"\xfd7zXZ\0", f"an xz archive: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a Zstandard archive: {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive: {_UNPACK}"),
    (b"Rar!", f"a RAR archive: {_UNPACK}"),
    (b"matlab ", f"a MATLAB file (.mat) of {_CONVERTED}"),
    (b"\x89HDF", "an HDF5 file, perhaps a MATLAB file (.mat)"),
    (b"%PDF", "a PDF document"),
    (b"\xff\xfe", "text in UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16: save it as UTF-8"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"PAR1", "a Parquet file"),
)


def recognise(data: bytes) -> str | None:
    """What begins with these bytes and what to do about it, to follow "it is"; None if unknown."""
    if data[257:262] == b"ustar":
        return f"a plain tar archive: {_UNPACK}"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return 'a HEIF image: pip install "ovparts_hf[heif]" reads it, or save it as JPEG'
    start = data[:HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for magic, kind in _KINDS if start.lower().startswith(magic.lower())), None)


def recognise_file(path: Path) -> str | None:
    """The same for a file, None also if it cannot be read."""
    try:
        with path.open("rb") as file:
            return recognise(file.read(HEAD))
    except OSError:
        return None
