"""Extracted copies of the fixture archives that a test may spoil."""

import tarfile

import pytest


@pytest.fixture
def pascal_root(pascal_archive, tmp_path):
    return _extract(pascal_archive, tmp_path / "release") / "PascalPart116"


@pytest.fixture
def ade_root(ade_archive, tmp_path):
    return _extract(ade_archive, tmp_path / "release") / "ADE20KPart234"


def _extract(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder
