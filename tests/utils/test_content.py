"""What a file really is, by its first bytes."""

import io
import tarfile
import zipfile

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.utils.content import recognise, recognise_file
from ovparts_hf.utils.files import read_json


def tar(mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


KINDS = {
    "a plain tar archive": tar("w"),
    "a gzip archive": tar("w:gz"),
    "a bzip2 archive": tar("w:bz2"),
    "an xz archive": tar("w:xz"),
    "a zip archive": zipped(),
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n",
    "a web page": b"\xef\xbb\xbf\n <!DOCTYPE html><html><body>Sign in</body></html>",
    "a MATLAB file": b"MATLAB 5.0 MAT-file, Platform: GLNXA64",
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    assert recognise(KINDS[kind]).startswith(kind)


@pytest.mark.parametrize("data", [b"", b"text", b"\0" * 600, b"{}"])
def test_anything_else_is_unknown(data):
    assert recognise(data) is None


def test_a_file_that_cannot_be_read(tmp_path):
    assert recognise_file(tmp_path) is recognise_file(tmp_path / "none") is None


def test_json_that_is_something_else(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(KINDS["a Git LFS pointer"])
    with pytest.raises(ConfigurationError, match="a.json is not valid JSON: it is a Git LFS pointer.* `git lfs pull`"):
        read_json(path, ConfigurationError)
