"""Three ways to CLIPSeg's label maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from benchmark_workload import Workload, random_prompts, well_conditioned
from PIL import Image
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation
from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

from ovparts_hf import CLIPSegForPartSegmentation, CLIPSegPartConfig
from ovparts_hf.models.post_processing import label_map
from ovparts_hf.models.processing import PartSegmentationImageProcessor

BASE = {"vision_config": {"patch_size": 16}, "use_complex_transposed_convolution": True}


STOCK_CLASSES = 12
"""Copies of the image that transformers' way is timed with; its cost is proportional to their number."""


class ClipSegWays:
    """The label maps of the objects in an image: ours, plain as the original, and transformers' documented way."""

    names = ("ours", "plain", "stock")

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device = workload, device
        self.model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**BASE)).eval()
        self.model.apply(well_conditioned)
        self.model.to(device)
        self.input_ids, self.mask = (
            each.to(device) for each in random_prompts(len(workload.taxonomy.part_classes), 4, 7)
        )
        self.images = PartSegmentationImageProcessor(size={"height": 352, "width": 352})
        self.features = torch.empty(0)

    @cached_property
    def stock_model(self) -> CLIPSegForImageSegmentation:
        """It has no adapter and no "none": its cost is compared, not its answers."""
        return CLIPSegForImageSegmentation(CLIPSegConfig(**BASE)).eval().to(self.device)

    def encode(self) -> None:
        longest = int(self.mask.sum(1).max())
        self.features = self.model.encode_classes(self.input_ids[:, :longest], self.mask[:, :longest])

    def ours(self, image: Image.Image, objects: Sequence[str]) -> list[torch.Tensor]:
        candidates = [self.workload.parts_of(name) for name in objects]
        rows = sorted({part for parts in candidates for part in parts})
        pixels = self.images(images=[image], return_tensors="pt")["pixel_values"].to(self.device, self.model.dtype)
        logits = self.model(pixels, class_features=self.features[rows], include_none=False).logits[0].float()
        position = {part: i for i, part in enumerate(rows)}
        size, ids = image.size[::-1], torch.tensor(rows, device=logits.device)
        return [ids[label_map(logits, size, [position[p] for p in parts])] for parts in candidates]

    def plain(self, image: Image.Image, objects: Sequence[str], first: int) -> list[torch.Tensor]:
        """The label maps of the first of the objects."""
        return [self._plain_record(image, self.workload.parts_of(name)) for name in objects[:first]]

    def _plain_record(self, image: Image.Image, candidates: list[int]) -> torch.Tensor:
        clip, config = self.model.clip, self.model.config
        pixels = self.images(images=[image], return_tensors="pt")["pixel_values"].to(self.device)
        text = clip.get_text_features(self.input_ids, attention_mask=self.mask).pooler_output
        rows = torch.cat([text, self.model.none_embedding])
        hidden = clip.vision_model(pixels, output_hidden_states=True).hidden_states
        activations = [self.model.visual_adapter(hidden[i + 1]) for i in config.extract_layers]
        activations = [states.expand(len(rows), -1, -1) for states in activations]
        logits = CLIPSegDecoder.forward(self.model.decoder, activations, rows).logits[None, :-1]
        scores = torch.nn.functional.interpolate(logits, size=image.size[::-1], mode="bilinear")[0].sigmoid()
        scores[[i for i in range(len(scores)) if i not in candidates]] = 0
        return scores.argmax(0)

    def stock(self, image: Image.Image, objects: Sequence[str]) -> list[torch.Tensor]:
        pixels = self.images(images=[image] * STOCK_CLASSES, return_tensors="pt")["pixel_values"].to(self.device)
        self.stock_model(self.input_ids[:STOCK_CLASSES], pixels, attention_mask=self.mask[:STOCK_CLASSES])
        return []
