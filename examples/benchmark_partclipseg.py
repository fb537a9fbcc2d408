"""Two ways to PartCLIPSeg's label maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from benchmark_clipseg import BASE
from benchmark_workload import Workload, random_prompts, well_conditioned
from PIL import Image

from ovparts_hf import PartCLIPSegConfig, PartCLIPSegForPartSegmentation
from ovparts_hf.models.image_processing import PartSegmentationImageProcessor
from ovparts_hf.models.part_object import PartObjectNames
from ovparts_hf.models.post_processing import label_map


class PartClipSegWays:
    """The label maps of the objects in an image: ours, and plain as the original, but without its maps of attention."""

    names = ("ours", "plain")

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device = workload, device
        self.model = PartCLIPSegForPartSegmentation(PartCLIPSegConfig(**BASE)).eval()
        self.model.apply(well_conditioned)
        self.model.to(device)
        names = PartObjectNames.of(workload.taxonomy.part_classes)
        self.name_ids, self.first_object = names.ids(), len(names.part_names)
        self.input_ids, self.mask = (each.to(device) for each in random_prompts(len(names.names), 3, 5))
        self.images = PartSegmentationImageProcessor(size={"height": 352, "width": 352})
        self.features = torch.empty(0)

    def encode(self) -> None:
        longest = int(self.mask.sum(1).max())
        parts, objects = self.name_ids.T
        rows = torch.stack([parts, objects, objects - self.first_object], dim=1).to(self.device)
        self.features = self.model.encode_classes(self.input_ids[rows, :longest], self.mask[rows, :longest])

    def ours(self, image: Image.Image, objects: Sequence[str]) -> list[torch.Tensor]:
        candidates = [self.workload.parts_of(name) for name in objects]
        rows = sorted({part for parts in candidates for part in parts})
        pixels = self.images(images=[image], return_tensors="pt")["pixel_values"].to(self.device, self.model.dtype)
        vocabulary = {"class_features": self.features[rows], "name_ids": self.name_ids[rows]}
        logits = self.model(pixels, **vocabulary, include_none=False).logits[0].float()
        position = {part: i for i, part in enumerate(rows)}
        size, ids = image.size[::-1], torch.tensor(rows, device=logits.device)
        return [ids[label_map(logits, size, [position[p] for p in parts])] for parts in candidates]

    def plain(self, image: Image.Image, objects: Sequence[str], first: int) -> list[torch.Tensor]:
        """The label maps of the first of the objects."""
        return [self._plain_record(image, self.workload.parts_of(name)) for name in objects[:first]]

    def _plain_record(self, image: Image.Image, candidates: list[int]) -> torch.Tensor:
        clip, config, decoder = self.model.clip, self.model.config, self.model.decoder
        pixels = self.images(images=[image], return_tensors="pt")["pixel_values"].to(self.device)
        text = clip.get_text_features(self.input_ids, attention_mask=self.mask).pooler_output
        rows = torch.cat([text, self.model.none_embedding])
        hidden = clip.vision_model(pixels, output_hidden_states=True).hidden_states
        states = 0
        for depth, index in enumerate(reversed(config.extract_layers)):
            adapted = self.model.visual_adapter(hidden[index + 1]).expand(len(rows), -1, -1)
            states = states + decoder.reduces[depth](adapted)
            if depth == config.conditional_layer:
                states = decoder.film_mul(rows)[:, None] * states + decoder.film_add(rows)[:, None]
            states = decoder.layers[depth](states, attention_mask=None)
        side = int((states.shape[1] - 1) ** 0.5)
        patches = states[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        of_names = decoder.transposed_convolution(patches)
        none = torch.tensor([len(rows) - 1])
        parts, of_objects = (torch.cat([ids, none]) for ids in self.name_ids.T)
        conditions = torch.cat([self.name_ids[:, 1] - self.first_object, none])
        condition = decoder.condition_projection(torch.cat([rows[conditions], rows[parts]], dim=1))
        mixed = torch.cat([patches[parts], patches[of_objects]], dim=1).movedim(1, -1)
        weight = torch.cat([decoder.part_projection.weight, decoder.object_projection.weight], dim=1)
        mixed = torch.nn.functional.linear(mixed, weight, decoder.part_projection.bias)
        scale, shift = (film(condition)[:, None, None] for film in _films(decoder))
        of_classes = decoder.part_object_convolution((scale * mixed + shift).movedim(-1, 1))
        size = image.size[::-1]
        scores, _, _ = (
            torch.nn.functional.interpolate(logits, size=size, mode="bilinear")[0].sigmoid()
            for logits in (of_classes[:-1, 0][None], of_classes[:, 0][None], of_names[:, 0][None])
        )
        scores[[i for i in range(len(scores)) if i not in candidates]] = 0
        return scores.argmax(0)


def _films(decoder: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
    return decoder.condition_film_mul, decoder.condition_film_add
