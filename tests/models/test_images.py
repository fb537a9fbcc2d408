"""Every image processor treats images as the library's own opener does, or refuses them."""

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.errors import ImageError
from ovparts_hf.models.auto import FAMILIES
from ovparts_hf.models.loading import ModelSource
from ovparts_hf.utils.images import load_image


@pytest.fixture(scope="module", params=FAMILIES)
def processor(request):
    return ModelSource("toy" if request.param == "clipseg" else f"toy-{request.param}").processor()


@pytest.fixture(scope="module")
def colors():
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def pil(mode):
    return lambda colors: Image.fromarray(colors).convert(mode)


def upside_down(colors):
    image = Image.fromarray(colors)
    image.getexif()[0x0112] = 3
    return image


def alpha(colors):
    image = Image.fromarray(colors)
    image.putalpha(Image.fromarray(colors[..., 0]))
    return image


GIVEN = {
    **{mode: pil(mode) for mode in ("RGB", "L", "P", "1", "CMYK", "YCbCr", "HSV", "LAB", "RGBA", "F", "I")},
    "alpha": alpha,
    "LA": lambda colors: alpha(colors).convert("LA"),
    "upside down": upside_down,
    "16 bits": lambda colors: Image.fromarray(colors[..., 0].astype(np.uint16) * 257),
    "between 0 and 1": lambda colors: Image.fromarray(colors[..., 0].astype(np.float32) / 255),
    "grey array": lambda colors: colors[..., 0],
    "array": lambda colors: colors,
    "16-bit array": lambda colors: colors.astype(np.uint16) * 257,
    "array with alpha": lambda colors: np.dstack([colors, colors[..., 0]]),
    "array of one channel": lambda colors: colors[..., :1],
}


@pytest.mark.parametrize("name", GIVEN)
def test_images_are_treated_as_by_the_opener(name, processor, colors):
    image = GIVEN[name](colors)
    expected = processor(images=[load_image(image)])["pixel_values"]
    for given in (image, [image]):
        assert torch.equal(processor(images=given)["pixel_values"], expected)
    if isinstance(image, np.ndarray) and image.ndim == 3:
        first = image.transpose(2, 0, 1)
        assert torch.equal(processor(images=first)["pixel_values"], expected)
        assert torch.equal(processor(images=first[None])["pixel_values"], expected)
        if image.dtype == np.uint8:
            assert torch.equal(processor(images=torch.from_numpy(first.copy()))["pixel_values"], expected)


def test_paths(processor, colors, tmp_path):
    Image.fromarray(colors).save(tmp_path / "image.png")
    expected = processor(images=Image.fromarray(colors))["pixel_values"]
    assert torch.equal(processor(images=tmp_path / "image.png")["pixel_values"], expected)


REFUSED = {
    "float array": lambda colors: colors / 255,
    "float tensor": lambda colors: torch.rand(3, 60, 90),
    "bool": lambda colors: colors > 9,
    "int64": lambda colors: colors.astype(np.int64),
    "five channels": lambda colors: np.zeros((60, 90, 5), dtype=np.uint8),
    "no pixels": lambda colors: np.zeros((0, 90, 3), dtype=np.uint8),
    "nothing": lambda colors: [],
    "None": lambda colors: None,
    "a number": lambda colors: 3,
    "beyond 16 bits": lambda colors: Image.fromarray(colors[..., 0].astype(np.int32) * 100_000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused(name, processor, colors):
    with pytest.raises(ImageError):
        processor.image_processor(REFUSED[name](colors))
