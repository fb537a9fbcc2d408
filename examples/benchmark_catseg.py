"""Ways to CATSeg's label maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from benchmark_workload import Workload, well_conditioned
from PIL import Image

from ovparts_hf import CATSegConfig, CATSegForPartSegmentation
from ovparts_hf.models.catseg.aggregator import (
    Aggregator,
    AggregatorLayer,
    GuidedLinearAttention,
    GuidedUpsampling,
    GuidedWindowBlock,
    shift_mask,
)
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.post_processing import label_map

TEMPLATES = 80
SCORES = CATSegImageProcessor.scores


class CatSegWays:
    """The label maps of the objects in an image: ours and the plain formulation."""

    names = ("ours", "plain")

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device = workload, device
        self.model = CATSegForPartSegmentation(CATSegConfig(vision_config={"patch_size": 16})).eval()
        self.model.aggregator.apply(well_conditioned)
        self.model.to(device)
        self.images = CATSegImageProcessor()
        # Of random weights, what CLIP makes of names is as good as random; encoding is timed in the other families.
        shape = len(workload.taxonomy.part_classes), TEMPLATES, self.model.config.projection_dim
        self.features = F.normalize(torch.randn(shape, device=device), dim=-1)

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
        stages = model.backbone(model._for_backbone(**inputs)).feature_maps
        logits = plain_aggregator(model.aggregator, features, torch.cat([self.features, none]), stages)
        scores = logits.sigmoid()[:-1]
        scores[[i for i in range(len(scores)) if i not in candidates]] = -1
        return F.interpolate(scores[None], size=image.size[::-1], mode="bilinear")[0].argmax(0)

    def _inputs(self, image: Image.Image) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.device, self.model.dtype) for name, tensor in self.images(image).items()}


def plain_aggregator(
    aggregator: Aggregator, image: torch.Tensor, rows: torch.Tensor, stages: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """All classes at once, and what they share repeated for each of them, as the paper writes it down."""
    correlation = torch.einsum("tpd,dhw->tphw", F.normalize(rows, dim=-1), F.normalize(image, dim=0))
    volume = aggregator.embedding.convolution(correlation).flatten(2).transpose(1, 2)
    guidance = aggregator.image_guidance(stages[2]).relu().flatten(2).transpose(1, 2).expand(len(rows), -1, -1)
    text = aggregator.text_guidance(F.normalize(rows.mean(1), dim=-1)).relu()
    for layer in aggregator.layers:
        volume = plain_layer(layer, volume, guidance, text)
    return plain_decoder(aggregator, volume, stages)


def plain_decoder(aggregator: Aggregator, volume: torch.Tensor, stages: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """(classes, places, C) -> (classes, height, width)."""
    maps = volume.transpose(1, 2).unflatten(2, (aggregator.grid, aggregator.grid)).contiguous()
    for stage, projection, finer in zip(aggregator.decoder.stages, aggregator.decoder_guidance, stages[1::-1]):
        maps = plain_upsampling(stage, maps, projection(finer).relu().expand(len(volume), -1, -1, -1))
    return aggregator.decoder.head(maps)[:, 0]


def plain_layer(
    layer: AggregatorLayer,
    volume: torch.Tensor,
    guidance: torch.Tensor,
    text: torch.Tensor,
    attend: Callable[..., torch.Tensor] | None = None,
) -> torch.Tensor:
    """(classes, places, C): both window blocks, then attention across classes."""
    normed = layer.spatial.guidance_norm(guidance)
    for block in (layer.spatial.block_1, layer.spatial.block_2):
        volume = plain_block(block, volume, normed)
    across, side = layer.across_classes, layer.across_classes.grid
    image = volume.transpose(1, 2).unflatten(2, (side, side))
    pooled = F.avg_pool2d(image, across.pooling).flatten(2).permute(2, 0, 1)
    states = torch.cat([across.norm1(pooled), text.expand(len(pooled), -1, -1)], dim=-1)
    pooled = pooled + (attend or plain_attention)(across.attention, states, across.norm1(pooled))
    pooled = (pooled + across.mlp(across.norm2(pooled))).permute(1, 2, 0).unflatten(2, (side // across.pooling, -1))
    enlarged = F.interpolate(pooled, size=(side, side), mode="bilinear", align_corners=True)
    return volume + enlarged.flatten(2).transpose(1, 2)


def plain_attention(attention: GuidedLinearAttention, states: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Linear attention of guided states (places, classes, C + G) to values (places, classes, C)."""
    query, key = (
        F.elu(heads(F.linear(states, each.weight, each.bias), attention.num_heads)) + 1
        for each in (attention.query, attention.key)
    )
    count = value.shape[1]
    value = heads(attention.value(value), attention.num_heads) / count
    context = torch.einsum("nshd,nshv->nhdv", key, value)
    norm = 1 / (torch.einsum("nlhd,nhd->nlh", query, key.sum(1)) + 1e-6)
    return (torch.einsum("nlhd,nhdv,nlh->nlhv", query, context, norm) * count).flatten(2)


def plain_block(block: GuidedWindowBlock, volume: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
    """A Swin block with explicit windows and scores."""
    side, window, shift = block.grid, block.window, block.shift
    states = (
        torch.cat([block.norm1(volume), guidance], dim=-1).unflatten(1, (side, side)).roll((-shift, -shift), (1, 2))
    )
    windows = states.unflatten(2, (-1, window)).unflatten(1, (-1, window)).transpose(2, 3)
    states = windows.reshape(-1, window**2, states.shape[-1])
    width, attention = volume.shape[-1], block.attention
    query, key, value = (
        heads(each, attention.num_heads).transpose(1, 2)
        for each in (
            *(F.linear(states, layer.weight, layer.bias) for layer in (attention.query, attention.key)),
            attention.value(states[..., :width]),
        )
    )
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    if shift:
        scores = scores + shift_mask(side, window, shift, scores.device).repeat(len(volume), 1, 1, 1)
    attended = attention.projection((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))
    grid = side // window
    image = attended.view(len(volume), grid, grid, window, window, width).transpose(2, 3).reshape(-1, side, side, width)
    volume = volume + image.roll((shift, shift), (1, 2)).flatten(1, 2)
    return volume + block.mlp(block.norm2(volume))


def plain_upsampling(stage: GuidedUpsampling, maps: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
    """Transposed convolution, concatenation, two convolutions."""
    maps = torch.cat([stage.up(maps), guidance], dim=1)
    maps = stage.norm1(stage.convolution_1(maps)).relu()
    return stage.norm2(stage.convolution_2(maps)).relu()


def heads(states: torch.Tensor, count: int) -> torch.Tensor:
    """(..., C) -> (..., heads, C / heads)."""
    return states.unflatten(-1, (count, -1))
