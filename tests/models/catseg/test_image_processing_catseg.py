import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.catseg.image_processing_catseg import (
    CATSegImageProcessor,
    cut_windows,
    merge_windows,
    window_stride,
)

SQUARE = {"height": 128, "width": 128}


def image(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("size", "scaled"), [((500, 375), (768, 576)), ((375, 500), (576, 768)), ((40, 30), (768, 576))]
)
def test_images_are_scaled_as_by_the_benchmark(size, scaled):
    array = np.array(image(*size)).transpose(2, 0, 1)
    assert CATSegImageProcessor()._scale(array).shape == (3, *scaled[::-1])


def test_the_mask_is_full_where_sides_need_no_padding():
    assert (CATSegImageProcessor()(image(500, 375))["pixel_mask"] == 1).all()
    assert (CATSegImageProcessor()(image(500, 333))["pixel_mask"][0, -1] < 1).all()
    padded = CATSegImageProcessor(size=SQUARE)(image(75, 90), augmented=True)["pixel_mask"]
    assert padded.shape == (1, 128, 128)
    assert padded[0, 0, 0] == 1 and padded[0, -1, -1] == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2), (17, 23)])
@pytest.mark.parametrize("sliding_window", [False, True])
def test_any_size_is_taken(size, sliding_window):
    processor = CATSegImageProcessor(sliding_window=sliding_window)
    pixels = processor(image(*size))["pixel_values"]
    assert pixels.shape == ((1, 5, 3, 384, 384) if sliding_window else (1, 3, 384, 384))
    assert pixels.isfinite().all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_other_kinds_of_images_become_rgb(mode):
    grey = Image.new("L", (50, 40), 77)
    expected = CATSegImageProcessor()(grey.convert("RGB"))["pixel_values"]
    assert_close(CATSegImageProcessor()(grey.convert(mode))["pixel_values"], expected, atol=0.1, rtol=0)


def test_saves_what_it_was_told(tmp_path):
    processor = CATSegImageProcessor(size=SQUARE, shortest_edge=100, longest_edge=130, canvas_size=213)
    processor.save_pretrained(tmp_path)
    loaded = CATSegImageProcessor.from_pretrained(tmp_path)
    expected = processor(image(60, 50))["pixel_values"]
    assert torch.equal(loaded(image(60, 50))["pixel_values"], expected)
    assert loaded.canvas_size == 213


@pytest.mark.parametrize("images", [[], [np.zeros((5, 5))], "cat.png", np.zeros((3, 4, 4), dtype=np.float32)])
def test_what_is_no_image_is_refused(images):
    with pytest.raises(OVPartsError, match="image"):
        CATSegImageProcessor()(images)


def test_a_canvas_must_be_covered_by_windows():
    with pytest.raises(OVPartsError, match="windows of 384 fit 384 plus a multiple of 256"):
        CATSegImageProcessor(canvas_size=700)
    with pytest.raises(OVPartsError, match="canvas_size is 640; windows of 320 fit"):
        CATSegImageProcessor(sliding_window=True)(image(50, 40), size={"height": 320, "width": 320})


def test_windows_cover_the_canvas_and_merging_undoes_cutting():
    canvas = torch.rand(2, 320, 320)
    windows = cut_windows(canvas, 192)
    assert window_stride(192) == 128
    assert windows.shape == (4, 2, 192, 192)
    assert torch.equal(windows[1], canvas[:, :192, 128:])
    whole = torch.nn.functional.interpolate(canvas[None], size=(192, 192), mode="bilinear")
    merged = merge_windows(torch.cat([windows, whole]).logit(), 192).sigmoid()
    enlarged = torch.nn.functional.interpolate(whole, size=(320, 320), mode="bilinear")[0]
    assert_close(merged, (canvas + enlarged) / 2, atol=1e-5, rtol=0)
