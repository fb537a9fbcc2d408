"""A segmenter is loaded by name, for a device, in a precision."""

import pytest
import torch

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.segmenter import PartSegmenter

from .conftest import BENCH


def test_loading_chooses_device_and_precision(image):
    segmenter = PartSegmenter.from_pretrained("toy", device="cpu", dtype=torch.bfloat16)
    assert segmenter.model.dtype == torch.bfloat16
    assert not segmenter.model.training
    assert segmenter(image, BENCH).label_map.shape == (image.height, image.width)


def test_a_model_in_training_mode_is_put_into_evaluation_mode(models, image):
    model, processor = models("clipseg")
    expected = PartSegmenter(model, processor)(image, BENCH).label_map
    segmenter = PartSegmenter(model.train(), processor)
    assert not model.training
    assert (segmenter(image, BENCH).label_map == expected).all()


def test_precision_can_be_a_name(image):
    assert PartSegmenter.from_pretrained(dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "banana"}, "The device 'banana' cannot be used here"),
        ({"device": "xpu:77"}, "The device 'xpu:77' cannot be used here"),
        ({"dtype": "float99"}, "dtype is 'float99'; give float32"),
        ({"dtype": torch.int8}, "dtype is torch.int8; give float32"),
    ],
)
def test_devices_and_precisions_that_are_not_there(options, message):
    with pytest.raises(ConfigurationError, match=message):
        PartSegmenter.from_pretrained("is not even looked for", **options)


def test_untrained_models_are_told_apart(caplog):
    PartSegmenter.from_pretrained()
    assert not caplog.records
    PartSegmenter.from_pretrained("toy")
    assert not caplog.records  # a stock CLIPSeg, used as it is
    PartSegmenter.from_pretrained("toy-zsseg")
    assert "toy-zsseg was not trained for parts" in caplog.text
