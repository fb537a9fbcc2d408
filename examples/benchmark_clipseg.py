"""Three ways to CLIPSeg's label maps."""

from __future__ import annotations

from functools import cached_property

import torch
from benchmark_workload import TAXONOMY, parts_of, random_prompts, well_conditioned
from PIL import Image
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation
from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

from ovparts_hf import CLIPSegForPartSegmentation, CLIPSegPartConfig
from ovparts_hf.models.post_processing import label_map
from ovparts_hf.models.processing import PartSegmentationImageProcessor

BASE = {"vision_config": {"patch_size": 16}, "use_complex_transposed_convolution": True}


class ClipSegWays:
    """The label maps of the objects in an image: ours, plain as the original, and transformers' documented way."""

    names = ("ours", "plain", "stock")

    def __init__(self) -> None:
        self.model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**BASE)).eval()
        self.model.apply(well_conditioned)
        self.input_ids, self.mask = random_prompts(len(TAXONOMY.part_classes), 4, 7)
        self.images = PartSegmentationImageProcessor(size={"height": 352, "width": 352})
        self.features = torch.empty(0)

    @cached_property
    def stock_model(self) -> CLIPSegForImageSegmentation:
        """It has no adapter and no "none": its cost is compared, not its answers."""
        return CLIPSegForImageSegmentation(CLIPSegConfig(**BASE)).eval()

    def encode(self) -> list[torch.Tensor]:
        longest = int(self.mask.sum(1).max())
        self.features = self.model.encode_classes(self.input_ids[:, :longest], self.mask[:, :longest])
        return []

    def ours(self, image: Image.Image, objects: list[str]) -> list[torch.Tensor]:
        candidates = [parts_of(name) for name in objects]
        rows = sum(candidates, [])
        pixels = self.images(images=[image], return_tensors="pt")["pixel_values"]
        logits = self.model(pixels, class_features=self.features[rows], include_none=False).logits[0]
        position = {part: i for i, part in enumerate(rows)}
        size = image.size[::-1]
        return [torch.tensor(rows)[label_map(logits, size, [position[p] for p in parts])] for parts in candidates]

    def plain(self, image: Image.Image, objects: list[str]) -> list[torch.Tensor]:
        return [self._plain_record(image, parts_of(name)) for name in objects]

    def _plain_record(self, image: Image.Image, candidates: list[int]) -> torch.Tensor:
        clip, config = self.model.clip, self.model.config
        pixels = self.images(images=[image], return_tensors="pt")["pixel_values"]
        text = clip.get_text_features(self.input_ids, attention_mask=self.mask).pooler_output
        rows = torch.cat([text, self.model.none_embedding])
        hidden = clip.vision_model(pixels, output_hidden_states=True).hidden_states
        activations = [self.model.visual_adapter(hidden[i + 1]) for i in config.extract_layers]
        activations = [states.expand(len(rows), -1, -1) for states in activations]
        logits = CLIPSegDecoder.forward(self.model.decoder, activations, rows).logits[None, :-1]
        scores = torch.nn.functional.interpolate(logits, size=image.size[::-1], mode="bilinear")[0].sigmoid()
        scores[[i for i in range(len(scores)) if i not in candidates]] = 0
        return scores.argmax(0)

    def stock(self, image: Image.Image, objects: list[str]) -> list[torch.Tensor]:
        pixels = self.images(images=[image] * len(self.input_ids), return_tensors="pt")["pixel_values"]
        logits = self.stock_model(self.input_ids, pixels, attention_mask=self.mask).logits
        size = image.size[::-1]
        return [label_map(logits, size, parts_of(name)) for name in objects]
