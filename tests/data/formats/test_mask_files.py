"""Telling masks from images."""

import pytest

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.mask_files import MaskFiles, bare, divisions


def sort_out(folder, *names, images=None):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    files = MaskFiles.of(Source(str(folder / "source"), images=images and folder / images))
    return {file.name for file in files.images.values()}, {file.name for file in files.masks.values()}, files.repeated


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (("images/a.jpg", "images/b.png"), ("masks/a.png", "masks/b.png")),
        (("JPEGImages/a.jpg",), ("SegmentationClass/a.png",)),
        (("val_images/a.jpg",), ("val_masks/a.png",)),
        (("a.jpg", "b.jpg"), ("Labels/a.png",)),
        (("a.jpg", "b.jpg"), ("a.png", "b_mask.png", "a_dog_ear.png")),
        (("a.png", "b.png", "my_mask.png"), ("a_mask.png", "b.labels.png")),
        (("x/a.jpg", "y/a.jpg"), ("x/a.png", "y/a.png")),
        (("a.png", "b.png"), ()),
    ],
)
def test_by_folders_or_names(images, masks, tmp_path):
    expected = set(images), set(masks), []
    assert sort_out(tmp_path, *(f"source/{name}" for name in (*images, *masks))) == expected


def test_by_the_folder_of_the_images(tmp_path):
    found = sort_out(tmp_path, "source/a.png", "source/b.png", "photographs/a.png", images="photographs")
    assert found == ({"a.png"}, {"a.png", "b.png"}, [])


def test_what_shares_a_name(tmp_path):
    *_, repeated = sort_out(tmp_path, "source/images/a.jpg", "source/images/a.webp", "source/masks/a.png")
    assert len(repeated) == 1
    assert "a.jpg" in repeated[0]
    assert "a.webp" in repeated[0]


def test_names_in_pieces():
    assert divisions("a_dog.ear-2") == [("a", "dog.ear-2"), ("a_dog", "ear-2"), ("a_dog.ear", "2")]
    assert bare(("x", "a_mask")) == bare(("x", "a.Labels")) == ("x", "a")
    assert bare(("x", "mask")) == ("x", "mask")
