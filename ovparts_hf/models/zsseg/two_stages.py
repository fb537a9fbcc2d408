"""Running an export of ZSseg: graphs propose masks and look at regions, which are cut out between them as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..export.exported import ExportedMixin
from ..export.graphs import IMAGE, TEXT, Example, Graph, Tensors, image_example, text_example
from ..maskformer.modules import Proposals
from ..prompts import LearnedPrompts
from .configuration_zsseg import ZSSegConfig

if TYPE_CHECKING:
    from transformers.exporters import ExportedModel

    from .modeling_zsseg import ZSSegForPartSegmentation

OBJECT_TEXT, REGIONS = "object_text", "regions"
"""Names of further graphs: class names -> class features by prompts that depend on an object; regions of images -> what
CLIP sees in them. That of images gives what the queries propose."""
_PROMPTS = "prompts."


class TwoStages(ExportedMixin):
    """Leaves `forward` as it is; the computations in it that have weights are graphs."""

    config: ZSSegConfig

    @staticmethod
    def examples(model: ZSSegForPartSegmentation, processor: Any) -> dict[str, Example]:
        """The graphs of a model by name."""
        text, side = text_example(model, processor), model.config.region_size
        class_features = model.encode_classes(**text.inputs)
        found = {
            TEXT: text,
            IMAGE: image_example(model, processor, class_features, _propose),
            REGIONS: Example(Graph(model, _look), {"regions": torch.zeros(2, 3, side, side)}, {"regions": (0,)}),
        }
        if model.config.image_conditioned_prompts:
            found[OBJECT_TEXT] = text_example(model, processor, object_feature=class_features[:1])
        return found

    def __init__(self, config: ZSSegConfig, graphs: ExportedModel, tensors: Tensors) -> None:
        super().__init__(config, graphs, tensors)
        self.prompts = None
        if config.prompt_lengths is not None:
            feature_dim = config.projection_dim if config.image_conditioned_prompts else None
            self.prompts = LearnedPrompts(config.text_config.hidden_size, *config.prompt_lengths, feature_dim)
            own = {name: tensor for name, tensor in tensors.items() if name.startswith(_PROMPTS)}
            self.prompts.load_state_dict({name.removeprefix(_PROMPTS): tensor for name, tensor in own.items()})

    @torch.no_grad()
    def encode_classes(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        object_feature: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """See `ZSSegForPartSegmentation.encode_classes`."""
        if object_feature is None:
            return super().encode_classes(input_ids, attention_mask)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        inputs = {"input_ids": input_ids, "attention_mask": mask, "object_feature": object_feature}
        return self.run(OBJECT_TEXT, **inputs)["class_features"]

    def propose_in(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor,
        object_masks: torch.Tensor | None = None,
        all_layers: bool = False,
        **kwargs: Any,
    ) -> Proposals:
        """See `ZSSegForPartSegmentation.propose_in`; always what the last layer proposes."""
        inputs = {"pixel_values": pixel_values, "class_features": class_features}
        if object_masks is not None:
            inputs["object_masks"] = object_masks.float()
        return Proposals(**{name: tensor[None] for name, tensor in self.run(IMAGE, **inputs).items()})

    def encode_regions(self, regions: torch.Tensor) -> torch.Tensor:
        """See `ZSSegForPartSegmentation.encode_regions`."""
        return self.run(REGIONS, regions=regions)["features"]


def _propose(model: ZSSegForPartSegmentation, **inputs: torch.Tensor) -> Tensors:
    proposals = model.propose_in(**inputs, all_layers=False)
    return {"class_logits": proposals.class_logits[-1], "mask_logits": proposals.mask_logits[-1]}


def _look(model: ZSSegForPartSegmentation, regions: torch.Tensor) -> Tensors:
    return {"features": model.encode_regions(regions)}
