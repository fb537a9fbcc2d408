"""Opening what users call an image, and the image files of datasets."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from ovparts_hf.errors import DatasetError, ImageError
from ovparts_hf.utils import images
from ovparts_hf.utils.images import decode_image, image_name, image_size, load_image

ORIENTATION = 0x0112


def make_image(mode="RGB", size=(30, 20)):
    """Bright in the upper left quarter, dark elsewhere."""
    image = Image.new("L", size, 40)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2 - 1, size[1] // 2 - 1), fill=220)
    return image.convert(mode)


def bright(image):
    """Where the middle of the bright quarter is: (bottom, right)."""
    rows, columns = np.nonzero(np.asarray(image.convert("L")) > 128)
    return rows.mean() > image.height / 2, columns.mean() > image.width / 2


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, 1)), (3, (1, 1)), (4, (1, 0)), (5, (0, 0)), (6, (0, 1)), (7, (1, 1)), (8, (1, 0))],
)
def test_images_are_turned_upright(orientation, corner, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "turned.jpg"
    make_image().save(path, exif=exif)
    image = load_image(path)
    assert image.size == ((20, 30) if orientation >= 5 else (30, 20))
    assert bright(image) == corner


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16"])
def test_turned_tiff_files_are_read_alike_from_everywhere(mode, orientation, tmp_path):
    """Of files that it opens by name, Pillow maps some modes into memory, and scrambles the turned ones."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "turned.tif"
    make_image(mode).save(path, exif=exif)
    image = load_image(path)
    assert image.size == ((20, 30) if orientation >= 5 else (30, 20))
    assert image == decode_image(path.read_bytes())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_counts_as_none(tmp_path):
    path = tmp_path / "broken-exif.jpg"
    make_image().save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 40)
    assert load_image(path).size == (30, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_every_mode_becomes_rgb(mode):
    image = load_image(make_image(mode))
    assert image.mode == "RGB"
    assert image.size == (30, 20)
    assert bright(image) == (0, 0)


def test_transparent_pixels_become_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    image.putpixel((1, 1), (200, 0, 0, 255))
    assert load_image(image).getpixel((0, 0)) == (255, 255, 255)
    assert load_image(image).getpixel((1, 1)) == (200, 0, 0)
    palette = tmp_path / "palette.png"
    Image.new("P", (4, 4), 0).save(palette, transparency=0)
    assert load_image(palette).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["png", "tiff", "array", "wide"])
def test_sixteen_bits_become_eight(kind, tmp_path):
    values = np.asarray(make_image("L")).astype(np.uint16) * 257
    if kind in ("png", "tiff"):
        source = tmp_path / f"deep.{kind}"
        Image.fromarray(values).save(source)
    else:
        source = values if kind == "array" else Image.fromarray(values.astype(np.int32))
    assert (np.asarray(load_image(source).convert("L")) == np.asarray(make_image("L"))).all()


def test_floating_point_images_between_zero_and_one(tmp_path):
    path = tmp_path / "floating.tiff"
    Image.fromarray(np.asarray(make_image("L")).astype(np.float32) / 255).save(path)
    assert (np.asarray(load_image(path).convert("L")) == np.asarray(make_image("L"))).all()
    Image.fromarray(np.full((4, 4), -1, dtype=np.float32)).save(path)
    with pytest.raises(ImageError, match="grey values from -1.0"):
        load_image(path)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_arrays_of_sixteen_bits_in_any_byte_order(order):
    values = (np.arange(256).reshape(16, 16) << 8).astype(order)
    assert (np.asarray(load_image(values))[..., 0].ravel() == np.arange(256)).all()


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4)])
def test_arrays(shape):
    assert load_image(np.zeros(shape, dtype=np.uint8)).size == (30, 20)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((20, 30, 2), dtype=np.uint8), r"given was uint8 of shape \(20, 30, 2\)"),
        (np.zeros((3, 20, 30), dtype=np.uint8), r"given was uint8 of shape \(3, 20, 30\)"),
        (np.zeros((20, 30, 3)), "given was float64"),
        (np.zeros((0, 30, 3), dtype=np.uint8), "has no pixels"),
        (b"bytes", "a bytes was given"),
        (None, "a NoneType was given"),
        ("no-such-file.jpg", "no-such-file.jpg does not exist"),
        ("long" * 2000, "long does not exist"),
        ("null\0.jpg", "does not exist"),
        ("~nobody-here/a.jpg", "~nobody-here/a.jpg does not exist"),
    ],
)
def test_anything_else_is_refused(source, message):
    with pytest.raises(ImageError, match=message):
        load_image(source)


@pytest.mark.parametrize("size", [(1, 1), (2000, 1), (1, 2000)])
def test_any_shape_is_allowed(size):
    assert load_image(Image.new("L", size)).size == size


def jpeg(orientation=None, mode="RGB", exif=None):
    values = np.zeros((20, 30, 3), np.uint8)
    values[:10, :10] = 255
    options = {}
    if orientation:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
    if exif is not None:
        options["exif"] = exif
    buffer = io.BytesIO()
    Image.fromarray(values).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


class TestDatasetFiles:
    @pytest.mark.parametrize("orientation", [None, *range(1, 9)])
    def test_size_is_that_of_the_upright_image(self, orientation):
        data = jpeg(orientation)
        size = (30, 20) if orientation in (5, 6, 7, 8) else (20, 30)
        assert image_size(data, "a.jpg") == decode_image(data).size[::-1] == size

    def test_turned_as_the_camera_says(self):
        upright = np.asarray(decode_image(jpeg(orientation=6)).convert("L")) > 128  # to be turned clockwise
        assert upright[:9, 11:].all()
        assert not upright[11:].any()

    @pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
    def test_pixels_are_those_of_an_image_of_the_user(self, mode, tmp_path):
        data = jpeg(mode=mode, orientation=3)
        (tmp_path / "a.jpg").write_bytes(data)
        image = decode_image(data)
        assert image.mode == "RGB"
        assert image.tobytes() == load_image(tmp_path / "a.jpg").tobytes()

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00"])
    def test_broken_exif_counts_as_none(self, exif):
        data = jpeg(exif=exif)
        assert image_size(data, "a.jpg") == (20, 30)
        assert decode_image(data).size == (30, 20)

    @pytest.mark.parametrize("data", [b"", b"text", jpeg()[:200], jpeg()[:-40]])
    def test_broken_files_are_named(self, data):
        with pytest.raises(DatasetError, match="a.jpg is not a whole image"):
            image_size(data, "a.jpg")


@pytest.mark.parametrize(
    ("largest", "said"),
    [
        (0, None),
        (200, "8 bits, give uint8"),
        (255, "8 bits"),
        (1023, "10 bits.*array << 6"),
        (4095, "12 bits"),
        (65535, None),
    ],
)
def test_16_bits_that_hold_fewer_are_said(largest, said, caplog):
    values = np.linspace(0, largest, 12).astype(np.uint16).reshape(3, 4)
    load_image(values)
    load_image(Image.fromarray(values))
    load_image(np.stack([values] * 3, axis=-1))
    matching = [record for record in caplog.records if re.search(said or "bits", record.getMessage())]
    assert len(matching) == len(caplog.records) == (0 if said is None else 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_tensors_are_read_as_torch_has_them(mode, dtype):
    array = np.asarray(make_image(mode))
    tensor = torch.from_numpy(array.copy())
    tensor = tensor if mode == "L" else tensor.permute(2, 0, 1)
    given = tensor if dtype == torch.uint8 else (tensor / 255).to(dtype).requires_grad_()
    found, expected = (np.asarray(load_image(image)).astype(int) for image in (given, array))
    assert found.shape == expected.shape and abs(found - expected).max() <= (dtype == torch.bfloat16)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(20, 30, 3, dtype=torch.uint8), r"given was \(20, 30, 3\). Move channels to the front"),
        (torch.zeros(1, 3, 20, 30), "of a batch, make a list"),
        (torch.full((3, 2, 2), 255.0), "must lie between 0 and 1"),
        (torch.full((3, 2, 2), torch.nan), "must lie between 0 and 1"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), "given was int64"),
        (torch.zeros(3, 0, 2), "has no pixels"),
    ],
)
def test_other_tensors_are_refused(tensor, message):
    with pytest.raises(ImageError, match=message):
        load_image(tensor)


@pytest.fixture
def heic(tmp_path, monkeypatch):
    """A file in HEIC, a format that Pillow does not know yet."""
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "telephone.heic"
    pillow_heif.from_pillow(make_image()).save(path)
    monkeypatch.setattr(Image, "OPEN", {name: opener for name, opener in Image.OPEN.items() if name != "HEIF"})
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    monkeypatch.setattr(Image, "EXTENSION", {end: name for end, name in Image.EXTENSION.items() if name != "HEIF"})
    images._can_read_heif.cache_clear()
    yield path
    images._can_read_heif.cache_clear()


def test_heic_is_read_once_pillow_heif_is_installed(heic):
    assert load_image(heic).size == (30, 20) and not any(bright(load_image(heic)))
    assert decode_image(heic.read_bytes()).size == (30, 20)
    assert ".heic" in images.image_suffixes()


def test_without_pillow_heif_the_error_names_the_extra(heic, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r'It is a HEIF image: pip install "ovparts_hf\[heif\]" reads it'):
        load_image(heic)
    assert ".heic" not in images.image_suffixes()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("photos/a b.jpg", "a b.jpg"),
        (Path("/photos/dog's.png"), "dog's.png"),
        ("https://user:secret@example.org/photos/a%20b.jpg?key=secret", "a b.jpg"),
        ("HTTPS://example.org/", ""),
        (np.zeros((2, 2, 3), dtype=np.uint8), ""),
        (Image.new("RGB", (2, 2)), ""),
    ],
)
def test_images_are_called_by_their_files(source, expected):
    assert image_name(source) == expected
