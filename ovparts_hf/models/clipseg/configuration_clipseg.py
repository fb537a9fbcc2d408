"""Configuration of CLIPSeg for parts."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import CLIPSegConfig

from ..configuration_utils import SEGMENTATION_LOSSES, OpenVocabularyConfig


@strict
class CLIPSegPartConfig(OpenVocabularyConfig, CLIPSegConfig):
    r"""Configuration of `CLIPSegForPartSegmentation`: everything of transformers' `CLIPSegConfig` and of
    `OpenVocabularyConfig`, and the following.

    Args:
        adapter_reduction: The visual adapter's hidden width is the vision tower's divided by this.
        adapter_ratio: Share of the adapter in the adapted activation, `ratio * adapter(x) + (1 - ratio) * x`. Use 0 to
            leave the activations as they are: an adapter that was never trained is noise.
        segmentation_loss: "bce", the benchmark's loss, or "ce_dice".
        none_weight: Weight of the "none" channel in the loss.
        ignore_index: Value of unlabelled pixels in `labels`. They are trained as "none", as in the benchmark.
        eval_label_size: (short edge, longest edge) in pixels to which the benchmark brings label maps before it scores
            this model, or None to score at the labels' own size.
    """

    model_type = "ovparts_clipseg"
    base_model_type = "clipseg"
    auto_classes = {
        "AutoConfig": "CLIPSegPartConfig",
        "AutoModel": "CLIPSegForPartSegmentation",
        "AutoModelForSemanticSegmentation": "CLIPSegForPartSegmentation",
    }

    adapter_reduction: int = 4
    adapter_ratio: float = 0.2
    segmentation_loss: str = "bce"
    none_weight: float = 0.05
    ignore_index: int = 255
    eval_label_size: list[int] | tuple[int, int] | None = (800, 1333)

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        if self.segmentation_loss not in SEGMENTATION_LOSSES:
            raise ValueError(
                f"segmentation_loss is {self.segmentation_loss!r}; choose one of {list(SEGMENTATION_LOSSES)}."
            )
        if not 0 <= self.adapter_ratio <= 1:
            raise ValueError(f"adapter_ratio is {self.adapter_ratio}; it must lie between 0 and 1.")
        layers = self.vision_config.num_hidden_layers
        if not self.extract_layers or not all(0 <= layer < layers for layer in self.extract_layers):
            raise ValueError(f"extract_layers is {self.extract_layers}; the vision tower has layers 0 to {layers - 1}.")
