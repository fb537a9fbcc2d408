import io

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.toy.photographs import is_photograph
from ovparts_hf.toy.world import draw


def as_jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize("enlarged", [1, 1.5, 4])
def test_no_drawing_is_a_photograph(enlarged):
    for number in range(0, 200, 4):
        image = draw("validation", number, close_up=number % 8 == 0).image
        size = (int(image.width * enlarged), int(image.height * enlarged))
        image = image.resize(size, Image.Resampling.LANCZOS) if enlarged != 1 else image
        for quality in (None, 95, 75, 50):
            assert not is_photograph(image if quality is None else as_jpeg(image, quality)), (number, quality)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_photographs_are(name):
    skimage_data = pytest.importorskip("skimage.data", reason="needs scikit-image's photographs")
    image = Image.fromarray(getattr(skimage_data, name)())
    for each in (image, as_jpeg(image, 95), as_jpeg(image, 75), image.resize((image.width // 3, image.height // 3))):
        assert is_photograph(each)


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
def test_any_shape(size):
    assert not is_photograph(Image.new("L", size, 90))


def test_noise_is_no_drawing():
    assert is_photograph(Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)))
