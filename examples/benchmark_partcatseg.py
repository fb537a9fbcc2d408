"""Ways to PartCATSeg's label maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from benchmark_catseg import SCORES, TEMPLATES, heads, plain_decoder, plain_layer
from benchmark_workload import Workload, well_conditioned
from PIL import Image

from ovparts_hf import PartCATSegConfig, PartCATSegForPartSegmentation
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.partcatseg.aggregator import GuidedQueryAttention, PartAggregator
from ovparts_hf.models.partcatseg.vocabulary import Vocabulary, level_names
from ovparts_hf.models.post_processing import label_map


class PartCatSegWays:
    """The label maps of the objects in an image: ours and the plain formulation."""

    names = ("ours", "plain")

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device = workload, device
        config = PartCATSegConfig(vision_config={"patch_size": 16})
        self.model = PartCATSegForPartSegmentation(config).eval()
        self.model.aggregator.apply(well_conditioned)
        self.model.to(device)
        side, backbone_side = config.image_size, config.guidance_size
        self.images = CATSegImageProcessor(
            {"height": side, "width": side}, backbone_size={"height": backbone_side, "width": backbone_side}
        )
        # Of random weights, what CLIP makes of names is as good as random; encoding is timed in the other families.
        levels = [level_names(name) for name in workload.taxonomy.part_classes]
        names = sorted({name for each in levels for name in each})
        rows = F.normalize(torch.randn(len(names), TEMPLATES, config.projection_dim, device=device), dim=-1)
        found = dict(zip(names, rows))
        self.features = torch.stack([torch.cat([found[name] for name in each]) for each in levels])

    def ours(self, image: Image.Image, objects: Sequence[str]) -> list[torch.Tensor]:
        mask = torch.zeros(1, len(self.features), dtype=torch.bool)
        for name in objects:
            mask[0, self.workload.parts_of(name)] = True
        inputs = self._inputs(image)
        logits = self.model(**inputs, class_features=self.features, class_mask=mask, include_none=False).logits[0]
        size = image.size[::-1]
        return [label_map(logits.float(), size, self.workload.parts_of(name), scores=SCORES) for name in objects]

    def plain(self, image: Image.Image, objects: Sequence[str], first: int) -> list[torch.Tensor]:
        """The label maps of the first of the objects."""
        return [self._plain_record(image, self.workload.parts_of(name)) for name in objects[:first]]

    def _plain_record(self, image: Image.Image, candidates: list[int]) -> torch.Tensor:
        model, inputs = self.model, self._inputs(image)
        none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, TEMPLATES, -1)
        features = model._encode_images(inputs["pixel_values"])[0]
        stages = model.backbone(model._for_backbone(inputs["backbone_pixel_values"], inputs["pixel_mask"])).feature_maps
        vocabulary = Vocabulary.of(self.features, none)
        logits = plain_part_aggregator(model.aggregator, features, vocabulary, stages)
        scores = logits.sigmoid()[:-1]
        scores[[i for i in range(len(scores)) if i not in candidates]] = -1
        return F.interpolate(scores[None], size=image.size[::-1], mode="bilinear")[0].argmax(0)

    def _inputs(self, image: Image.Image) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.device, self.model.dtype) for name, tensor in self.images(image).items()}


def plain_part_aggregator(
    aggregator: PartAggregator, image: torch.Tensor, vocabulary: Vocabulary, stages: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """All names and all classes at once, each with a score map, as the original computes them."""
    names, grid = vocabulary.names, (aggregator.grid, aggregator.grid)
    correlation = torch.einsum("tpd,dhw->tphw", F.normalize(names, dim=-1), F.normalize(image, dim=0))
    volume = aggregator.embedding.convolution(correlation).flatten(2).transpose(1, 2)
    volume = _aggregate(aggregator, aggregator.layers, volume, names, stages)
    plain_decoder(aggregator, volume, stages)

    count = vocabulary.num_parts
    parts = torch.cat([volume[:count], volume[-1:]])[vocabulary.part_ids]
    pairs = torch.cat([parts, volume[count:][vocabulary.object_ids]], dim=-1)
    composition = aggregator.composition
    composed = F.normalize(F.linear(pairs, composition.weight, composition.bias), dim=-1)
    correlation = torch.einsum("tnd,tpd->tpn", composed, F.normalize(vocabulary.classes, dim=-1)).unflatten(2, grid)
    volume = aggregator.class_embedding.convolution(correlation).flatten(2).transpose(1, 2)
    volume = _aggregate(aggregator, aggregator.class_layers, volume, vocabulary.classes, stages)
    return plain_decoder(aggregator, volume, stages)


def _aggregate(
    aggregator: PartAggregator,
    layers: torch.nn.ModuleList,
    volume: torch.Tensor,
    rows: torch.Tensor,
    stages: tuple[torch.Tensor, ...],
) -> torch.Tensor:
    guidance = aggregator.image_guidance(stages[2]).relu().flatten(2).transpose(1, 2).expand(len(rows), -1, -1)
    text = aggregator.text_guidance(F.normalize(rows.mean(1), dim=-1)).relu()
    for layer in layers:
        volume = plain_layer(layer, volume, guidance, text, query_attention)
    return volume


def query_attention(attention: GuidedQueryAttention, states: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of guided states (places, classes, C + G) to values (places, classes, C), with explicit scores."""
    query, key, value = (
        heads(each, attention.num_heads).transpose(1, 2)
        for each in (
            *(F.linear(states, layer.weight, layer.bias) for layer in (attention.query, attention.key)),
            attention.value(value),
        )
    )
    shares = (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(-2) + 1e-8
    return ((shares / shares.sum(-1, keepdim=True)) @ value).transpose(1, 2).flatten(2)
