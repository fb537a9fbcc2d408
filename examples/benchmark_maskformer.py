"""Ways to MaskFormer's label maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from benchmark_workload import Workload
from PIL import Image

from ovparts_hf import MaskFormerForPartSegmentation, MaskFormerPartConfig
from ovparts_hf.models.maskformer.image_processing_maskformer import BENCHMARK_SIZE, MaskClassificationImageProcessor
from ovparts_hf.models.maskformer.modules import pad_to_multiple
from ovparts_hf.models.post_processing import label_map


class MaskFormerWays:
    """The label maps of the objects in an image: ours, and the plain formulation."""

    names = ("ours", "plain")

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device = workload, device
        config = MaskFormerPartConfig(num_labels=len(workload.taxonomy.part_classes))
        self.model = MaskFormerForPartSegmentation(config).eval().to(device)
        self.images = MaskClassificationImageProcessor(size=BENCHMARK_SIZE)

    def ours(self, image: Image.Image, objects: Sequence[str]) -> list[torch.Tensor]:
        candidates = [self.workload.parts_of(name) for name in objects]
        rows = sorted({part for parts in candidates for part in parts})
        ids = torch.tensor(rows, device=self.device)
        logits = self.model(self._pixels(image), class_features=ids).logits[0].float()
        position = {part: i for i, part in enumerate(rows)}
        size = image.size[::-1]
        return [ids[label_map(logits, size, [position[p] for p in parts], scores="plain")] for parts in candidates]

    def plain(self, image: Image.Image, objects: Sequence[str], first: int) -> list[torch.Tensor]:
        """The label maps of the first of the objects."""
        return [self._plain_record(image, self.workload.parts_of(name)) for name in objects[:first]]

    def _plain_record(self, image: Image.Image, candidates: list[int]) -> torch.Tensor:
        """Everything anew for one object, the masks of all decoder layers, and all classes to the end."""
        model, pixels = self.model, self._pixels(image)
        padded = pad_to_multiple(pixels)
        features = model.pixel_level_module(padded)
        states = model.query_decoder(features.deepest)
        masks = torch.einsum("lbqc,bchw->lbqhw", model.mask_head(states), features.mask_features)[-1]
        masks = F.interpolate(masks, size=padded.shape[-2:], mode="bilinear").sigmoid()
        scores = model.class_head(states)[-1].softmax(-1)[..., :-1]
        height, width = pixels.shape[-2:]
        maps = torch.einsum("bqc,bqhw->bchw", scores, masks)[..., :height, :width]
        maps = F.interpolate(maps, size=image.size[::-1], mode="bilinear")[0]
        maps[[i for i in range(len(maps)) if i not in candidates]] = -1
        return maps.argmax(0)

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        return self.images(image)["pixel_values"].to(self.device, self.model.dtype)
