import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from ovparts_hf.utils.resize import resize_nearest

SIZE = {"shortest_edge": 40, "longest_edge": 60}


@pytest.fixture
def processor():
    return MaskClassificationImageProcessor(size=SIZE)


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 50, 3), dtype=np.uint8))


def expected(image: Image.Image, size: tuple[int, int] | None = None) -> torch.Tensor:
    if size is not None:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    mean, std = torch.tensor([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]])[:, :, None, None]
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() - mean) / std


@pytest.mark.parametrize(("shape", "size"), [((33, 50), (40, 60)), ((20, 50), (24, 60)), ((50, 33), (60, 40))])
def test_the_short_side_is_scaled_and_the_long_one_bounded(processor, shape, size):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    pixels = processor(image)["pixel_values"]
    assert pixels.dtype == torch.float32
    assert_close(pixels[0], expected(image, size), atol=1e-5, rtol=0)


def test_masks_are_resized_with_the_image(processor, image):
    masks = np.random.default_rng(1).random((2, 33, 50)) > 0.5
    inputs = processor([image], object_masks=masks)
    assert inputs["object_masks"].shape == (2, 40, 60)
    assert torch.equal(inputs["object_masks"], torch.from_numpy(resize_nearest(masks, (40, 60), np.float32)).float())


def test_augmented_images_keep_their_size(processor, image):
    assert_close(processor([image, image], augmented=True)["pixel_values"][1], expected(image), atol=1e-5, rtol=0)


def test_arrays_and_gray_images(processor, image):
    array = np.array(image).transpose(2, 0, 1)
    assert_close(processor(array)["pixel_values"], processor(image)["pixel_values"])
    assert processor(image.convert("L"))["pixel_values"].shape == (1, 3, 40, 60)


def test_different_sizes_are_refused(processor, image):
    with pytest.raises(OVPartsError, match="one by one"):
        processor([image, image.rotate(90, expand=True)])


def test_settings_are_saved(processor, image, tmp_path):
    processor.save_pretrained(tmp_path)
    loaded = MaskClassificationImageProcessor.from_pretrained(tmp_path)
    assert torch.equal(loaded(image)["pixel_values"], processor(image)["pixel_values"])
