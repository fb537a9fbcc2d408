"""Finding the images that label files name, their ids, and the values of masks."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.data.formats.images import ImageFile, ImageFolder, image_ids, label_values
from ovparts_hf.errors import DatasetError


@pytest.fixture
def folder(tmp_path):
    for name in (
        "images/a.jpg",
        "images/b.JPG",
        "cats/1.png",
        "dogs/1.png",
        ".hidden/c.png",
        "notes.txt",
        "images/._a.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return ImageFolder(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "images/a.jpg"),
        ("images/a.jpg", "images/a.jpg"),
        ("data/images/a.jpg", "images/a.jpg"),
        ("..\\images\\a.jpg", "images/a.jpg"),
        ("./images/a.jpg", "images/a.jpg"),
        ("/home/me/other/a.jpg", "images/a.jpg"),
        ("C:\\photos\\a.jpg", "images/a.jpg"),
        ("b.jpg", "images/b.JPG"),
        ("cats/1.png", "cats/1.png"),
        ("x/dogs/1.png", "dogs/1.png"),
        ("images/a", "images/a.jpg"),
        ("b", "images/b.JPG"),
    ],
)
def test_names_that_are_found(name, expected, folder):
    assert folder.find(name, "labels.json").name == expected


@pytest.mark.parametrize(
    "name", ["1.png", "1", "birds/1.png", "c.png", ".hidden/c.png", "", ".", "..", "/", "notes.txt", "notes", "\0"]
)
def test_names_that_are_not(name, folder):
    with pytest.raises(DatasetError, match="labels.json"):
        folder.find(name, "labels.json")


def test_links_that_lead_out_are_left_out(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.png").symlink_to(outside / "secret.png")
    (inside / "folder").symlink_to(outside)
    folder = ImageFolder(inside)
    assert folder.files == []
    with pytest.raises(DatasetError, match="link"):
        folder.find("a.png", "labels.json")
    with pytest.raises(DatasetError, match="leads out"):
        folder.find("../outside/secret.png", "labels.json")


def test_no_folder(tmp_path):
    with pytest.raises(DatasetError, match="--images"):
        ImageFolder(tmp_path / "nowhere")


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(DatasetError, match="a.png cannot be read"):
        ImageFile(tmp_path / "a.png", "a.png").read()


def test_ids():
    assert image_ids(["x/a.jpg", "x/b.jpg"]) == ["a", "b"]
    assert image_ids(["x/a.jpg", "y/A.jpg"]) == ["x-a", "y-A"]
    assert image_ids(["x/a.jpg", "x/a.png"]) == ["x-a.jpg", "x-a.png"]


@given(st.lists(st.text("ab/.-_", min_size=1, max_size=8).filter(lambda name: name.strip("./")), unique=True))
def test_ids_are_unique_and_no_paths(names):
    ids = image_ids(names)
    assert len({i.lower() for i in ids}) == len(names)
    assert not any("/" in i for i in ids)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_palette_yields_its_indices():
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).convert("P")
    image.putpalette([9, 9, 9] * 256)
    np.testing.assert_array_equal(label_values(png(image), "a.png"), np.arange(12).reshape(3, 4))


def test_sixteen_bits_stay():
    values = np.array([[0, 255, 256], [1000, 65534, 65535]], np.uint16)
    np.testing.assert_array_equal(label_values(png(Image.fromarray(values)), "a.png"), values)


def test_transparency_is_outside():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0], pixels[0, 1] = (255, 0, 0, 255), (255, 255, 255, 0)
    values = label_values(png(Image.fromarray(pixels)), "a.png", "brightness")
    np.testing.assert_array_equal(values > 0, [[True, False], [False, False]])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_colours_are_those_that_are_seen(mode):
    pixels = np.array([[[0, 0, 0], [255, 0, 128]], [[1, 2, 3], [0, 0, 255]]], np.uint8)
    image = Image.fromarray(pixels)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(int), -1, 0)
    np.testing.assert_array_equal(label_values(png(image), "a.png", "colours"), red * 65536 + green * 256 + blue)
