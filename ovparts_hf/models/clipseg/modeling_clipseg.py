"""CLIPSeg (Lüddecke & Ecker, CVPR 2022) as OV-PARTS (NeurIPS 2023, section 4.2) fine-tunes it for parts.

A frozen CLIP encodes the image and the class names; a light decoder, conditioned on a name by FiLM, finds where it is.
For parts, an adapter refines the image's activations and one more row, "none", competes for unlabelled pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn
from transformers import initialization as init
from transformers.models.clipseg.modeling_clipseg import (
    CLIPSegAttention,
    CLIPSegDecoder,
    CLIPSegEncoderLayer,
    CLIPSegModel,
    CLIPSegPreTrainedModel,
)
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.output_capturing import capture_outputs

from ..arguments import check_keywords, selected_rows
from ..class_chunks import ClassChunks
from ..clip import image_activations, text_features
from ..loss import part_segmentation_loss
from ..modeling_utils import OpenVocabularyModel, PartSegmentationOutput, init_like_torch
from ..processing import PartSegmentationImageProcessor, PartSegmentationProcessor
from .configuration_clipseg import CLIPSegPartConfig

PAIRS_AT_ONCE = {"cpu": 4, "cuda": 64}
"""(image, class) pairs decoded together where memory counts: what fits a CPU's cache, or keeps a GPU busy."""


class VisualAdapter(nn.Module):
    """Mixes a bottleneck of each token with the token itself (CLIP-Adapter, Gao et al., 2021)."""

    def __init__(self, config: CLIPSegPartConfig):
        super().__init__()
        width = config.vision_config.hidden_size
        self.ratio = config.adapter_ratio
        self.down = nn.Linear(width, width // config.adapter_reduction, bias=False)
        self.up = nn.Linear(width // config.adapter_reduction, width, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        adapted = self.up(self.down(states).relu()).relu()
        return self.ratio * adapted + (1 - self.ratio) * states


class DecoderInputs(NamedTuple):
    """What does not depend on both: reduced activations of images, one for each layer, and FiLM's scale and shift."""

    reduced: list[torch.Tensor]
    scale: torch.Tensor
    shift: torch.Tensor


class PartDecoder(ClassChunks, CLIPSegDecoder):
    """CLIPSeg's decoder for (image, class) pairs; what does not depend on the class is computed once per image."""

    _can_record_outputs = None  # its layers see pairs, some at a time
    gradient_checkpointing = False  # its layers are checkpointed with it

    def __init__(self, config: CLIPSegPartConfig):
        super().__init__(config)
        for layer in self.layers:
            layer.mlp.activation_fn = nn.ReLU(inplace=True)  # the widest states need not be held twice
            layer.self_attn.config = config.vision_config  # not the copy that `set_attn_implementation` does not reach

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_like_torch(module)

    def forward(
        self,
        activations: tuple[torch.Tensor, ...],
        class_features: torch.Tensor,
        images: torch.Tensor,
        classes: torch.Tensor,
        grid: tuple[int, int],
    ) -> torch.Tensor:
        """Decodes pairs (images[i], classes[i]), positions in activations and features: (pairs, height, width)."""
        prepared = self.prepare(activations, class_features)
        return self.some_at_a_time(
            lambda *pairs: self.enlarge(self.states(prepared, *pairs)[:, 1:], self.transposed_convolution, grid),
            images,
            classes,
        )

    def prepare(self, activations: tuple[torch.Tensor, ...], class_features: torch.Tensor) -> DecoderInputs:
        """What pairs are made of."""
        reduced = [reduce(states) for reduce, states in zip(self.reduces, activations[::-1])]
        return DecoderInputs(reduced, self.film_mul(class_features), self.film_add(class_features))

    def states(
        self, prepared: DecoderInputs, images: torch.Tensor, classes: torch.Tensor, entering: int | None = None
    ) -> torch.Tensor:
        """(pairs, 1 + patches, width), what leaves the last layer, or is `entering` another."""
        # index_select, not indexing: its gradient is summed in a fixed order, so that training repeats exactly.
        scale, shift = (each.index_select(0, classes)[:, None] for each in (prepared.scale, prepared.shift))
        states = 0
        for depth, (image_states, layer) in enumerate(zip(prepared.reduced, self.layers)):
            states = states + image_states.index_select(0, images)
            if depth == self.conditional_layer:
                states = scale * states + shift
            if depth == entering:
                break
            states = layer(states, attention_mask=None)
        return states

    def enlarge(self, patches: torch.Tensor, convolution: nn.Module, grid: tuple[int, int]) -> torch.Tensor:
        """(pairs, patches, width) -> logits (pairs, height, width)."""
        return convolution(patches.transpose(1, 2).unflatten(2, grid)).squeeze(1)

    def some_at_a_time(self, decode: Callable[..., torch.Tensor], *pairs: torch.Tensor) -> torch.Tensor:
        """The results of a function for pairs, some of which are computed at a time where memory counts."""
        if self.is_chunked:
            return self.in_chunks(decode, *pairs)
        whole = torch.is_grad_enabled() and not self.gradient_checkpointing
        if whole or torch.compiler.is_compiling():
            return decode(*pairs)
        count = PAIRS_AT_ONCE.get(pairs[0].device.type, PAIRS_AT_ONCE["cuda"])
        return torch.cat([decode(*chunk) for chunk in zip(*(each.split(count) for each in pairs))])


def all_pairs(height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of every entry of a table, row by row."""
    rows, columns = (torch.arange(size, device=device) for size in (height, width))
    return rows.repeat_interleave(width), columns.repeat(height)


class CLIPSegForPartSegmentation(OpenVocabularyModel, CLIPSegPreTrainedModel):
    """CLIPSeg with a visual adapter and a "none" row, for open-vocabulary part segmentation.

    `hidden_states` and `attentions` are those of CLIP's image encoder, up to the last layer that the decoder reads.

    Also loads stock CLIPSeg weights (`CIDAS/clipseg-rd64-refined`). What the configuration asks for besides, adapter
    and "none" row, then starts at random, as the benchmark's do; `load_model` asks for neither.
    """

    config: CLIPSegPartConfig
    image_processor_class = PartSegmentationImageProcessor
    processor_class = PartSegmentationProcessor
    config_class = CLIPSegPartConfig
    scores_none = True
    _can_record_outputs = {"hidden_states": CLIPSegEncoderLayer, "attentions": CLIPSegAttention}
    decoder_class: ClassVar[type[PartDecoder]] = PartDecoder
    rows_per_class: ClassVar[tuple[int, ...]] = ()  # of encoded names, before their width
    new_parts = ("visual_adapter.", "none_embedding")
    _keys_to_ignore_on_load_unexpected = [r"^visual_adapter\.", r"^none_embedding$"]  # if the configuration has none
    # Visual adapter, language embeddings, FiLM, decoder (OV-PARTS, table 5); the benchmark's are VA+L+F and VA+L+F+D.
    trainable_groups = {
        "VA": ("visual_adapter.",),
        "L": ("clip.text_model.embeddings.",),
        "F": ("decoder.film_",),
        "D": ("decoder.",),
    }
    stock_weights = "CIDAS/clipseg-rd64-refined"
    trainable_with_few, trainable_with_many = "VA+F+D", "VA+L+F+D"

    def __init__(self, config: CLIPSegPartConfig):
        super().__init__(config)
        self.clip = CLIPSegModel(config)
        self.visual_adapter = VisualAdapter(config) if config.adapter_ratio else nn.Identity()
        learned_none = config.none_threshold is None
        self.none_embedding = nn.Parameter(torch.empty(1, config.projection_dim)) if learned_none else None
        self.decoder = self.decoder_class(config)
        self._make_class_features(*self.rows_per_class, config.projection_dim)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_like_torch(module)
        if isinstance(module, CLIPSegForPartSegmentation) and module.none_embedding is not None:
            init.normal_(module.none_embedding, std=self.config.projection_dim**-0.5)

    @property
    def finds_objects_first(self) -> bool:
        """See `PartSegmentationModel.finds_objects_first`."""
        return self.config.none_threshold is not None

    def describe(self) -> dict[str, Any]:
        """See `PartSegmentationModel.describe`; of a model that is trained as the benchmark does there is nothing."""
        config = self.config
        facts = super().describe()
        if config.none_threshold is None:
            return facts
        return {"threshold_of_none": config.none_threshold, "adapter_ratio": config.adapter_ratio, **facts}

    @classmethod
    def default_processor(
        cls, name_or_path: str | None, config: CLIPSegPartConfig, settings: Mapping[str, Any]
    ) -> PartSegmentationProcessor:
        """See `PartSegmentationModel.default_processor`: CLIPSeg comes with one, whose settings are kept."""
        return cls.processor_class.from_pretrained(name_or_path, trust_remote_code=False, **settings)

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_classes`: (classes, length) -> (classes, projection dim)."""
        return text_features(self.clip, input_ids, attention_mask)

    def encode_images(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Adapted activations, (batch, 1 + patches, hidden size), of each layer in `config.extract_layers`."""
        activations = image_activations(self.clip.vision_model, pixel_values, self.config.extract_layers)
        return tuple(self.visual_adapter(states) for states in activations)

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        include_none: bool = True,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; height and width are multiples of the patch size. Training needs "none".

        Logits have the size of `pixel_values` (for patches of 16 pixels; the complex decoder enlarges its grid by
        (patch size // 4) squared).
        """
        check_keywords(kwargs)
        class_features = self.resolve_class_features(class_features, input_ids, attention_mask)
        learned_none = include_none and self.none_embedding is not None
        rows = torch.cat([class_features, self.none_embedding]) if learned_none else class_features
        # In a compiled graph no shape may depend on the values of a mask: every pair is decoded there.
        dense = class_mask is None or torch.compiler.is_compiling()
        selected = selected_rows(class_mask, pixel_values.shape[0], class_features.shape[0], rows.shape[0])
        if dense:
            images, classes = all_pairs(*selected.shape, rows.device)
        else:
            images, classes = (each.to(rows.device, non_blocking=True) for each in selected.nonzero(as_tuple=True))

        activations = self.encode_images(pixel_values)
        height, width = pixel_values.shape[-2:]
        patch = self.config.vision_config.patch_size
        decoded = self.decoder(activations, rows, images, classes, (height // patch, width // patch))

        if dense:
            scores = decoded.unflatten(0, tuple(selected.shape))
            if class_mask is not None:
                scores = scores.masked_fill(~selected.to(rows.device)[..., None, None], -math.inf)
        else:
            scores = decoded.new_full((*selected.shape, *decoded.shape[-2:]), -math.inf)
            scores[images, classes] = decoded
        logits, none_logits = scores.tensor_split([class_features.shape[0]], dim=1)
        if include_none and not learned_none:
            threshold = self.config.none_threshold
            none_logits = torch.full_like(scores[:, :1], math.log(threshold / (1 - threshold)))
        loss = None
        if labels is not None:
            loss = part_segmentation_loss(
                logits, none_logits, labels, self.config.segmentation_loss, self.config.none_weight
            )
        none_logits = none_logits if include_none else None
        return PartSegmentationOutput(loss, logits, none_logits, self.unless_stored(class_features))
