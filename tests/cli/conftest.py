"""What the tests of commands share."""

import pytest

from ovparts_hf.toy.world import draw


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    draw("validation", 8).image.save(folder / "first.png")
    draw("validation", 3).image.save(folder / "sub" / "second.jpg")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    return folder
