"""CLIP and the ResNet see an image at sizes of their own, as with CLIP ViT-L/14 at 336 beside a ResNet at 384."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.testing import assert_close

from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.models.catseg.configuration_catseg import CATSegConfig
from ovparts_hf.models.catseg.convert_catseg import convert_catseg
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation
from ovparts_hf.models.clip import dense_features

from ..clipseg.goldens import golden_processor
from .goldens import TINY, golden_config

CLIP_SIDE, SIDE, CLASSES = 64, 128, 5
CONVOLUTION = "sem_seg_head.predictor.clip_model.visual.conv1.weight"


def two_sizes(**changes) -> CATSegConfig:
    """CLIP's patches of 8 pixels at 64, and the ResNet's cells of 16 at 128: 8 along a side in either."""
    config = golden_config(image_size=CLIP_SIDE, backbone_image_size=SIDE, **changes)
    config.vision_config.patch_size, config.vision_config.image_size = 8, 32
    return config


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return CATSegForPartSegmentation(two_sizes()).eval()


@pytest.fixture(scope="module")
def processor():
    sizes = {"shortest_edge": 90, "longest_edge": 140}
    return CATSegImageProcessor(square(CLIP_SIDE), backbone_size=square(SIDE), **sizes)


@pytest.fixture(scope="module")
def class_features():
    features = torch.randn(CLASSES, golden_config().num_templates, 32, generator=torch.Generator().manual_seed(1))
    return F.normalize(features, dim=-1)


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 45, 60, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels]


def square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def resized(images: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def normalized(image: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    mean, std = (255 * torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    return (image - mean) / std


def both_views(image: Image.Image, config: CATSegConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """What CLIP and the ResNet see, each normalised, padded with zeros and squeezed on its own."""
    scaled = torch.from_numpy(np.array(image.resize((120, 90), Image.Resampling.BILINEAR))).permute(2, 0, 1).float()
    padding = (0, 8, 0, 6)  # to 128 x 96, multiples of 32
    for_clip = F.pad(normalized(scaled, config.image_mean, config.image_std), padding)
    for_resnet = F.pad(normalized(scaled, config.backbone_image_mean, config.backbone_image_std), padding)
    return resized(for_clip[None], CLIP_SIDE), resized(for_resnet[None], SIDE)


def scores_of(
    model: CATSegForPartSegmentation, for_clip: torch.Tensor, for_resnet: torch.Tensor, class_features: torch.Tensor
) -> torch.Tensor:
    """The logits (classes + 1, height, width) of one image, step by step."""
    grid = CLIP_SIDE // model.config.vision_config.patch_size
    features = dense_features(model.clip, for_clip)[0, 1:].T.reshape(-1, grid, grid)
    none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, class_features.shape[1], -1)
    stages = model.backbone(for_resnet).feature_maps
    assert stages[-1].shape[-2:] == (grid, grid)
    return model.aggregator(features, torch.cat([class_features, none]), stages)


def test_each_branch_gets_its_own_squares(processor, images):
    inputs = processor(images)
    assert inputs["pixel_values"].shape == (2, 3, CLIP_SIDE, CLIP_SIDE)
    assert inputs["backbone_pixel_values"].shape == (2, 3, SIDE, SIDE)
    assert inputs["pixel_mask"].shape == (2, SIDE, SIDE)
    for_clip, _ = both_views(images[1], golden_config())
    assert_close(inputs["pixel_values"][1:], for_clip, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_forward_pass_is_the_plain_computation_of_both_branches(model, processor, images, class_features):
    outputs = model(**processor(images), class_features=class_features)
    assert outputs.logits.shape == (2, CLASSES, SIDE // 4, SIDE // 4)
    for number, image in enumerate(images):
        expected = scores_of(model, *both_views(image, model.config), class_features)
        actual = torch.cat([outputs.logits[number], outputs.none_logits[number]])
        assert_close(actual, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_windows_are_cut_for_the_resnet_and_scaled_for_clip(model, processor, images, class_features):
    config = model.config
    windows = CATSegImageProcessor(**{**processor.to_dict(), "canvas_size": None, "sliding_window": True})
    inputs = windows(images[0])
    canvas = SIDE + int(SIDE * 0.667)
    assert windows.canvas_size == canvas
    scaled = torch.from_numpy(np.array(images[0].resize((120, 90), Image.Resampling.BILINEAR))).permute(2, 0, 1)
    large, starts = resized(scaled[None].float(), canvas), (0, canvas - SIDE)
    views = [large[..., top : top + SIDE, left : left + SIDE] for top in starts for left in starts]
    views.append(resized(scaled[None].float(), SIDE))
    total, count = torch.zeros(CLASSES, canvas, canvas), torch.zeros(canvas, canvas)
    for number, view in enumerate(views):
        for_clip = resized(normalized(view, config.image_mean, config.image_std), CLIP_SIDE)
        assert_close(inputs["pixel_values"][0, number], for_clip[0], atol=1e-5, rtol=0)
        for_resnet = normalized(view, config.backbone_image_mean, config.backbone_image_std)
        scores = resized(scores_of(model, for_clip, for_resnet, class_features)[None, :-1], SIDE).sigmoid()
        if number == 4:
            whole = resized(scores, canvas)[0]
            break
        top, left = starts[number // 2], starts[number % 2]
        total[:, top : top + SIDE, left : left + SIDE] += scores[0]
        count[top : top + SIDE, left : left + SIDE] += 1
    logits = model(**inputs, class_features=class_features).logits
    assert_close(logits[0].sigmoid(), (total / count + whole) / 2, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("sliding_window", [False, True])
def test_one_size_named_twice_is_one_size(images, class_features, sliding_window):
    torch.manual_seed(0)
    model = CATSegForPartSegmentation(golden_config()).eval()
    once, twice = (
        CATSegImageProcessor(square(SIDE), backbone_size=size, sliding_window=sliding_window)(images)
        for size in (None, square(SIDE))
    )
    assert {*twice} == {*once, "backbone_pixel_values"}
    expected = model(**once, class_features=class_features).logits
    assert torch.equal(model(**twice, class_features=class_features).logits, expected)


def test_both_branches_are_trained(model, processor, images, class_features):
    model.set_trainable("B+D+C")
    labels = torch.randint(0, CLASSES, (2, 40, 40), generator=torch.Generator().manual_seed(2))
    model(**processor(images, augmented=True), class_features=class_features, labels=labels).loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in gradients} == {"backbone", "aggregator", "clip"}
    assert gradients
    assert all(grad is not None and torch.isfinite(grad).all() for grad in gradients.values())
    model.zero_grad()


@pytest.fixture
def checkpoint(tmp_path):
    """With the original's names, the tiny model's sizes and patches of 8 pixels."""
    tensors = TINY.tensors()
    width = tensors[CONVOLUTION].shape[0]
    tensors[CONVOLUTION] = torch.randn(width, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    torch.save({"model": tensors}, tmp_path / "model.pth")
    return tmp_path / "model.pth"


@torch.no_grad()
def test_a_checkpoint_is_converted_saved_and_loaded(checkpoint, processor, images, class_features, tmp_path):
    converted, report = convert_catseg(checkpoint, two_sizes())
    assert {*report.used, *report.derivable} == set(TINY.tensors()) and not report.unused
    assert converted.clip.vision_model.embeddings.patch_embedding.weight.shape[-2:] == (8, 8)
    converted.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    model = CATSegForPartSegmentation.from_pretrained(tmp_path / "model")
    assert (model.config.image_size, model.config.backbone_image_size) == (CLIP_SIDE, SIDE)
    loaded = CATSegImageProcessor.from_pretrained(tmp_path / "model")
    inputs, again = processor(images), loaded(images)
    assert inputs.keys() == again.keys() and all(torch.equal(inputs[name], again[name]) for name in inputs)
    expected = scores_of(converted, *both_views(images[0], model.config), class_features)[:-1]
    assert_close(model(**again, class_features=class_features).logits[0], expected, atol=1e-4, rtol=0)


def test_a_new_model_gets_a_processor_of_both_sizes(tmp_path):
    golden_processor().tokenizer.save_pretrained(tmp_path)
    images = CATSegForPartSegmentation.default_processor(tmp_path, two_sizes(), {}).image_processor
    assert (images.size, images.backbone_size) == (square(CLIP_SIDE), square(SIDE))
    images = CATSegForPartSegmentation.default_processor(tmp_path, golden_config(), {}).image_processor
    assert images.backbone_size is None


def test_a_checkpoint_of_another_grid_says_which_sizes_it_needs(checkpoint):
    config = two_sizes()
    config.image_size, config.backbone_image_size = 96, 192
    advice = r"windows of 4 on a grid of 12 patches. .* 4 on 8: .*image_size=64 and backbone_image_size=128"
    with pytest.raises(CheckpointError, match=advice):
        convert_catseg(checkpoint, config)


def test_grids_that_differ_are_refused():
    config = two_sizes()
    config.backbone_image_size = None
    message = "CLIP has 8 patches along a side of 64 pixels; the ResNet, which sees 64 pixels, needs 128"
    with pytest.raises(ConfigurationError, match=message):
        CATSegForPartSegmentation(config)


def test_images_at_the_wrong_size_are_refused(model, class_features):
    small, large = torch.zeros(2, 3, CLIP_SIDE, CLIP_SIDE), torch.zeros(2, 3, SIDE, SIDE)
    for images, message in (
        ({"pixel_values": small}, "CLIP sees images of 64 x 64, the ResNet of 128 x 128"),
        ({"pixel_values": large, "backbone_pixel_values": large}, "images of 64 x 64"),
        ({"pixel_values": small, "backbone_pixel_values": small}, r"takes \[2, 3, 128, 128\]"),
        ({"pixel_values": small, "backbone_pixel_values": large[:1]}, r"takes \[2, 3, 128, 128\]"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            model(**images, class_features=class_features)
