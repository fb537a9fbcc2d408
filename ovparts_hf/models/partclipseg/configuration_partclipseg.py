"""Configuration of PartCLIPSeg."""

from huggingface_hub.dataclasses import strict

from ..clipseg.configuration_clipseg import CLIPSegPartConfig
from ..configuration_utils import map_auto_classes

OBJECT_CONDITIONS = ("part_row", "object")


@strict
class PartCLIPSegConfig(CLIPSegPartConfig):
    r"""Configuration of `PartCLIPSegForPartSegmentation`: everything of `CLIPSegPartConfig`, of which the loss is "bce"
    and "none" a learned row, and the following. The defaults are those of the authors' released code.

    Args:
        object_condition: What conditions a part class besides its part name: "object", its object name, or "part_row",
            as in the released code and in all published weights: the name at the object's position among *all* names,
            sorted part names first, so that it is most often a part name. With "part_row" the score of a class depends
            on the vocabulary in which it is encoded.
        object_loss_weight: Weight of the loss of objects against that of part classes.
        part_loss_weight: Weight of the loss of part names.
        separation_weight: Weight of the separation loss: the share of cells claimed by more than one part. It is made
            of comparisons, so that it has no gradient and only shows in the loss.
        enhancement_weight: Weight of the enhancement loss, which wants each part to be attended somewhere.
        attention_threshold: Normalised attention above which a part claims a cell.
        attention_layer: The layer of the decoder whose attention these two losses control, counted from 0;
            None for the last, as in the released code.
        own_parts_only: Whether these two losses compare the parts of an object with each other only; otherwise, as in
            the released code, with all parts in the image.
        drop_last_object: Whether they leave out the last object, by name, of an image in which every pixel is of an
            object, as the released code does.
        skip_empty_background: Whether the loss on the background is left out if no pixel of the batch is background;
            otherwise, as in the released code, the whole loss is then 0, so that the step teaches nothing.
    """

    model_type = "ovparts_partclipseg"
    auto_classes = map_auto_classes("PartCLIPSegConfig", "PartCLIPSegForPartSegmentation")
    pretrained_fields = {}
    segmentation_losses = ("bce",)

    object_condition: str = "part_row"
    object_loss_weight: float | int = 1.0
    part_loss_weight: float | int = 1.0
    separation_weight: float | int = 0.1
    enhancement_weight: float | int = 0.01
    attention_threshold: float | int = 0.3
    attention_layer: int | None = None
    own_parts_only: bool = False
    drop_last_object: bool = True
    skip_empty_background: bool = False

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        super().validate_architecture()
        if self.object_condition not in OBJECT_CONDITIONS:
            raise ValueError(f"object_condition is {self.object_condition!r}; choose one of {list(OBJECT_CONDITIONS)}.")
        if self.none_threshold is not None:
            raise ValueError(f"none_threshold is {self.none_threshold}; PartCLIPSeg learns a score of 'none': None.")
        for name in ("object_loss_weight", "part_loss_weight", "separation_weight", "enhancement_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; give 0 or more.")
        if not 0 <= self.attention_threshold <= 1:
            raise ValueError(f"attention_threshold is {self.attention_threshold}; it must lie between 0 and 1.")
        layers = len(self.extract_layers)
        if self.attention_layer is not None and not 0 <= self.attention_layer < layers:
            raise ValueError(
                f"attention_layer is {self.attention_layer}; the decoder has layers 0 to {layers - 1}; None: the last."
            )
