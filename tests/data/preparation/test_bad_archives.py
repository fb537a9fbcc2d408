"""Faults of a release's archive give one clear error, and no output."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import RELEASES, PascalPart116
from ovparts_hf.errors import DatasetError


def refused(archive, tmp_path, message):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DatasetError, match=message) as caught:
        write_repository(PascalPart116(data_dir=archive), tmp_path / "out", progress=False)
    assert archive.name in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    assert not check(archive, RELEASES, progress=False).ok


@pytest.mark.parametrize("keep", [0, 1, 10, 1000, 0.5, 0.99, -1, -8])
def test_truncated(keep, pascal_archive, tmp_path):
    data = pascal_archive.read_bytes()
    archive = tmp_path / "cut.tar.gz"
    archive.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    refused(archive, tmp_path, "is not a whole .tar.gz archive")


def test_damaged(pascal_archive, tmp_path):
    data = bytearray(pascal_archive.read_bytes())
    data[-6] ^= 1  # in the checksum
    archive = tmp_path / "damaged.tar.gz"
    archive.write_bytes(data)
    refused(archive, tmp_path, "is not a whole .tar.gz archive")


def test_not_gzip(pascal_root, tmp_path):
    archive = tmp_path / "plain.tar.gz"
    with tarfile.open(archive, "w") as tar:
        tar.add(pascal_root, "PascalPart116")
    refused(archive, tmp_path, "is not a whole .tar.gz archive")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("PascalPart116/" + "a" * 300, "longer than 255 bytes"),
        ("a/" * 2000, "longer than"),
        ("PascalPart116/\udcff.jpg", "not UTF-8"),
        ("PascalPart116/images", "a file in one place of the archive and a folder in another"),
        ("PascalPart116/train_16shot.json/a", "a file in one place of the archive and a folder in another"),
    ],
)
def test_names_that_are_none(name, fault, pascal_root, tmp_path):
    archive = tmp_path / "names.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        tar.add(pascal_root, "PascalPart116")
        tar.addfile(tarfile.TarInfo(name))
    refused(archive, tmp_path, fault)


def test_nul_in_a_name(tmp_path):
    archive = tmp_path / "nul.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"path": "a\0b"}
        tar.addfile(member)
    refused(archive, tmp_path, "holds a NUL character")


@pytest.mark.parametrize("time", ["1e300", "inf", "nan", "-1e300", "99999999999999"])
def test_times_beyond_range_do_no_harm(time, pascal_root, pascal_folder, tmp_path):
    archive = tmp_path / "times.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.add(pascal_root, "PascalPart116", filter=lambda member: member.pax_headers.update(mtime=time) or member)
    out = write_repository(PascalPart116(data_dir=archive), tmp_path / "out", progress=False)
    assert (out / "taxonomy.json").read_bytes() == (pascal_folder / "taxonomy.json").read_bytes()


def test_other_kinds_of_archives(pascal_root, tmp_path):
    for kind, said in (("zip", "a zip archive"), ("tar", "a plain tar archive"), ("xztar", "an xz archive")):
        made = Path(shutil.make_archive(tmp_path / "other", kind, pascal_root.parent))
        refused(made, tmp_path, f"is not a whole .tar.gz archive; it is {said}: unpack it, and give the folder")


def test_archive_in_an_archive(pascal_archive, tmp_path):
    archive = tmp_path / "outer.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(pascal_archive, "PascalPart116.tar.gz")
    with pytest.raises(DatasetError, match="PascalPart116.tar.gz in it is a gzip archive: unpack it"):
        write_repository(PascalPart116(data_dir=archive), tmp_path / "out", progress=False)


def test_matlab_originals(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "2008_000001.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DatasetError, match="2008_000001.mat in it is a MATLAB file.*converted release"):
        PascalPart116(data_dir=tmp_path / "annotations")


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "PascalPart116/../../escaped"])
def test_path_traversal(name, pascal_root, tmp_path):
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(pascal_root, "PascalPart116")
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    refused(archive, tmp_path, "would land outside|would be written outside")
    assert not Path("/escaped").exists()
    assert not (tmp_path.parent / "escaped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices(kind, pascal_root, tmp_path):
    archive = tmp_path / "links.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(pascal_root, "PascalPart116")
        member = tarfile.TarInfo("PascalPart116/images/train/2008_999999.jpg")
        member.type, member.linkname = kind, "PascalPart116/images/train/2008_000001.jpg"
        tar.addfile(member)
    refused(archive, tmp_path, "2008_999999.jpg.*link or a device")


def test_another_dataset(ade_archive, tmp_path):
    with pytest.raises(DatasetError, match="neither holds a folder PascalPart116 or Pascal-Part-116"):
        write_repository(PascalPart116(data_dir=ade_archive), tmp_path / "out", progress=False)
    assert not list(tmp_path.iterdir())
