"""Ways to ZSseg+'s label maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from benchmark_workload import Workload, random_prompts
from PIL import Image

from ovparts_hf import ZSSegConfig, ZSSegForPartSegmentation
from ovparts_hf.models.clip_regions import clip_normalized, masked_means, object_region, patch_features, patch_masks
from ovparts_hf.models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from ovparts_hf.models.maskformer.modules import (
    class_probabilities,
    mask_probabilities,
    pad_to_multiple,
    sum_of_queries,
)
from ovparts_hf.models.post_processing import label_map
from ovparts_hf.models.zsseg.stages import ensemble

LEARNED = range(8)


class ZSSegWays:
    """The label maps of the objects in an image: ours and the plain formulation."""

    names = ("ours", "plain")

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device, taxonomy = workload, device, workload.taxonomy
        config = ZSSegConfig(vision_config={"patch_size": 16}, num_queries=50)
        self.model = ZSSegForPartSegmentation(config).eval()
        self.images = MaskClassificationImageProcessor()
        self._let_queries_disagree()
        self.model.to(device)
        self.prompts = tuple(each.to(device) for each in learned_prompts(len(taxonomy.part_classes)))
        self.seen = torch.zeros(len(taxonomy.part_classes), dtype=torch.bool)
        self.seen[list(taxonomy.seen_part_ids)] = True
        self.seen = self.seen.to(device)
        self.features = torch.empty(0)

    @torch.no_grad()
    def _let_queries_disagree(self) -> None:
        """Removes what the answers of random weights have in common, so that an object has about as many parts."""
        model, pixels = self.model, self.images(self.workload.random_image(0))["pixel_values"]
        model.prompts.fuse_weight.fill_(0.6)
        features = model.pixel_level_module(pad_to_multiple(pixels))
        model.pixel_level_module.pixel_decoder.mask_projection.bias -= features.mask_features.mean((0, 2, 3))
        states = model.query_decoder(features.deepest)[-1, 0]
        for head in (model.class_head, model.mask_head):
            *_, last = (module for module in head.modules() if isinstance(module, torch.nn.Linear))
            last.bias -= head(states).mean(0)

    def encode(self) -> None:
        input_ids, mask = self.prompts
        longest = int(mask.sum(1).max())
        self.features = self.model.encode_classes(input_ids[:, :longest], mask[:, :longest])

    def ours(self, image: Image.Image, objects: Sequence[str]) -> list[torch.Tensor]:
        candidates = [self.workload.parts_of(name) for name in objects]
        mask = torch.zeros(len(objects), len(self.features), dtype=torch.bool)
        for row, parts in enumerate(candidates):
            mask[row, parts] = True
        inputs = self._inputs(image, object_masks(image, len(objects)))
        logits = self.model(**inputs, class_features=self.features, class_mask=mask, seen_classes=self.seen).logits
        size = image.size[::-1]
        return [label_map(each.float(), size, parts, scores="plain") for each, parts in zip(logits, candidates)]

    def plain(self, image: Image.Image, objects: Sequence[str], first: int) -> list[torch.Tensor]:
        """The label maps of the first of the objects."""
        masks = object_masks(image, len(objects))
        pairs = list(zip(masks, objects))[:first]
        return [self._plain_record(image, mask, self.workload.parts_of(name)) for mask, name in pairs]

    def _inputs(self, image: Image.Image, masks: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        inputs = self.images(image, object_masks=torch.stack(masks))
        return {name: tensor.to(self.device, self.model.dtype) for name, tensor in inputs.items()}

    def _plain_record(self, image: Image.Image, mask: torch.Tensor, candidates: list[int]) -> torch.Tensor:
        """Everything anew for one object, and all classes to the end."""
        model, config = self.model, self.model.config
        inputs = self._inputs(image, [mask])
        pixels, inside = inputs["pixel_values"], inputs["object_masks"] > 0.5
        features = model.encode_classes(*self.prompts)
        padded = pad_to_multiple(pixels)
        proposals = model.propose(model.pixel_level_module(padded), features, inside)
        masks = mask_probabilities(proposals.mask_logits[-1], padded.shape[-2:], pixels.shape[-2:])
        queries = sum_of_queries(class_probabilities(proposals.class_logits[-1]), masks)[0]
        predicted = queries.argmax(0)
        for_clip = clip_normalized(pixels[0], config.image_mean, config.image_std, config.clip_mean, config.clip_std)
        parts, scores = plain_clip_scores(model, for_clip, inside[0], predicted, features, candidates)
        table = torch.zeros(len(features), len(features), device=pixels.device)
        table[parts] = scores
        share = torch.where(self.seen, config.ensemble_weight, 1 - config.ensemble_weight)[:, None, None]
        maps = F.interpolate(ensemble(queries, table.T[:, predicted], share)[None], image.size[::-1], mode="bilinear")
        others = [i for i in range(len(features)) if i not in candidates]
        maps[0, others] = -1
        return maps[0].argmax(0)


def plain_clip_scores(
    model: ZSSegForPartSegmentation,
    image: torch.Tensor,
    inside: torch.Tensor,
    predicted: torch.Tensor,
    features: torch.Tensor,
    candidates: list[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The classes that are predicted on the object, and a distribution over all classes for each: (parts, classes).

    The crop is copied and encoded once for each of them.
    """
    config, patch_size = model.config, model.config.vision_config.patch_size
    every = (predicted == torch.arange(len(features), device=predicted.device)[:, None, None]) & inside
    parts = every.flatten(1).any(1).nonzero()[:, 0]
    region, on_object, on_parts = object_region(image, inside, every[parts], config.crop_ratio, config.region_size)
    tokens = patch_features(model.clip, region.expand(len(parts), -1, -1, -1).contiguous())
    of_parts = [masked_means(each, patch_masks(mask[None], patch_size)) for each, mask in zip(tokens, on_parts)]
    of_object = [masked_means(each, patch_masks(on_object, patch_size)) for each in tokens]
    logits = config.temperature * model.prompts.fuse(torch.cat(of_parts), torch.cat(of_object)) @ features.T
    allowed = torch.zeros(len(features), dtype=torch.bool, device=logits.device)
    allowed[candidates] = True
    return parts, logits.masked_fill(~allowed, -math.inf).softmax(-1)


def learned_prompts(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts of a length that part classes have, with places for learned vectors, padded to 77."""
    input_ids, mask = random_prompts(count, len(LEARNED) + 5, len(LEARNED) + 9)
    input_ids[:, 1 : 1 + len(LEARNED)] = -1 - torch.tensor(LEARNED)
    return input_ids, mask


def object_masks(image: Image.Image, count: int) -> list[torch.Tensor]:
    """An ellipse for each object, side by side; two thirds of the image's height."""
    width, height = image.size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centers = [(2 * i + 1) * width / (2 * count) for i in range(count)]
    return [((x - c) / (0.45 * width / count)) ** 2 + ((y - height / 2) / (height / 3)) ** 2 <= 1 for c in centers]
