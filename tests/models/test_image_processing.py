"""Every image processor treats images as the library's own opener does, or refuses them."""

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.errors import ImageError
from ovparts_hf.models.auto import FAMILIES
from ovparts_hf.models.image_processing import PartSegmentationImageProcessor
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


def test_lists_of_lists_are_one_batch(processor, colors):
    images = [Image.fromarray(colors), colors[::-1]]
    expected = processor(images=images)
    found = processor(images=[[images[0]], [], [images[1]]])
    assert expected.keys() == found.keys() != set()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_layout_of_an_array_may_be_named(processor, colors):
    narrow = colors[:3]
    expected = processor(images=Image.fromarray(narrow))["pixel_values"]
    assert torch.equal(processor(images=narrow, input_data_format="channels_last")["pixel_values"], expected)
    first = colors.transpose(2, 0, 1)[:, :, :4]
    assert torch.equal(
        processor(images=first, input_data_format="channels_first")["pixel_values"],
        processor(images=Image.fromarray(first.transpose(1, 2, 0).copy()))["pixel_values"],
    )


def test_rescaling_and_normalising_can_be_left_out(processor, colors):
    steps = processor.image_processor
    mean, std = (torch.tensor(values)[:, None, None] for values in (steps.image_mean, steps.image_std))
    image = np.full_like(colors, 51)  # padding, which is 0 after normalisation, is no part of it
    inside = processor(images=image)["pixel_values"][..., :10, :10]
    raw = processor(images=image, do_rescale=False, do_normalize=False)["pixel_values"][..., :10, :10]
    scaled = processor(images=image, do_normalize=False)["pixel_values"][..., :10, :10]
    assert (raw == 51).all()
    assert torch.allclose(scaled, torch.tensor(0.2))
    assert torch.allclose((scaled - mean) / std, inside, atol=1e-5)
    unscaled = processor(images=image, do_rescale=False)["pixel_values"][..., :10, :10]
    assert torch.allclose((raw - mean) / std, unscaled, rtol=1e-5)


def test_channels_are_kept_on_demand(processor, colors):
    options = {"do_convert_rgb": False, "image_mean": [0.5] * 4, "image_std": [0.25] * 4}
    opaque = np.dstack([colors, np.full_like(colors[..., 0], 255)])
    pixels = processor(images=opaque, **options)["pixel_values"]
    expected = processor(images=colors, image_mean=[0.5] * 3, image_std=[0.25] * 3)["pixel_values"]
    assert torch.equal(pixels[:, :3], expected)
    assert (pixels[:, 3, :10, :10] == 2).all()
    for image in (colors.astype(np.uint16), colors / 255, np.zeros((60, 90, 5), dtype=np.uint8)):
        with pytest.raises(ImageError):
            processor(images=image, do_convert_rgb=False)


def test_augmented_images_are_not_resized(processor, colors):
    """Unless the model takes squares only, which CLIPSeg's does."""
    steps = processor.image_processor
    expected = steps(colors, do_resize=type(steps) is PartSegmentationImageProcessor)
    found = steps(colors, augmented=True)
    assert expected.keys() == found.keys() != set()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    steps = type(steps).from_dict({**steps.to_dict(), "do_resize": False})
    assert torch.equal(steps(colors, augmented=True)["pixel_values"], steps(colors)["pixel_values"])


@pytest.mark.parametrize(("wanted", "kind"), [("pt", torch.Tensor), ("np", np.ndarray)])
def test_arrays_and_tensors(wanted, kind, processor, colors):
    inputs = processor(images=colors, return_tensors=wanted)
    assert {type(value) for value in inputs.values()} == {kind}
    expected = processor.image_processor(colors)["pixel_values"]
    assert np.array_equal(inputs["pixel_values"], expected)
