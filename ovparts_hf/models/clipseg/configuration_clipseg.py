"""Configuration of CLIPSeg for parts."""

from functools import partial

from huggingface_hub.dataclasses import strict
from transformers import CLIPSegConfig

from ..configuration_utils import VIT_B16, ScoredNoneConfig, map_auto_classes

STOCK_THRESHOLD = 0.3
"""The probability at which CLIPSeg's authors cut the masks of what a text describes (PhraseCut), to score them."""


@strict
class CLIPSegPartConfig(ScoredNoneConfig, CLIPSegConfig):
    r"""Configuration of `CLIPSegForPartSegmentation`: everything of transformers' `CLIPSegConfig` and of
    `ScoredNoneConfig`, and the following.

    Args:
        adapter_reduction: The visual adapter's hidden width is the vision tower's divided by this.
        adapter_ratio: Share of the adapter in the adapted activation, `ratio * adapter(x) + (1 - ratio) * x`; with 0
            there is no adapter.
        none_threshold: The score, between 0 and 1, that "none" has everywhere; None: what the "none" row gives it.

    The defaults are those of training. A stock CLIPSeg that is not trained has `pretrained_fields` instead, with which
    it computes what transformers' `CLIPSegForImageSegmentation` does.
    """

    model_type = "ovparts_clipseg"
    base_model_type = "clipseg"
    auto_classes = map_auto_classes("CLIPSegPartConfig", "CLIPSegForPartSegmentation")
    known_pretrained = {
        "CIDAS/clipseg-rd64-refined": partial(CLIPSegConfig, **VIT_B16, use_complex_transposed_convolution=True)
    }
    known_image_size = 352
    pretrained_fields = {"adapter_ratio": 0.0, "none_threshold": STOCK_THRESHOLD}

    adapter_reduction: int = 4
    adapter_ratio: float | int = 0.2
    none_threshold: float | None = None

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        super().validate_architecture()
        if not 0 <= self.adapter_ratio <= 1:
            raise ValueError(f"adapter_ratio is {self.adapter_ratio}; it must lie between 0 and 1.")
        if self.none_threshold is not None and not 0 < self.none_threshold < 1:
            raise ValueError(f"none_threshold is {self.none_threshold}; it must lie between 0 and 1, or be None.")
        layers = self.vision_config.num_hidden_layers
        if not self.extract_layers or not all(0 <= layer < layers for layer in self.extract_layers):
            raise ValueError(f"extract_layers is {self.extract_layers}; the vision tower has layers 0 to {layers - 1}.")
