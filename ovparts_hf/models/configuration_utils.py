"""What the configurations of all model families share, and that of the ResNet in three of them.

Annotations are evaluated here and in the families' configurations: `strict` checks the types of fields by them.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Self

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers import CLIPConfig, PreTrainedConfig, ResNetConfig

from ..errors import ConfigurationError
from .limits import check_numbers

SHIM = resources.files(__package__) / "ovparts_auto.py"
"""The file that is saved along: it imports this package, and says what to do where it is missing."""
NONE = "none"
"""The label of pixels without a class, after those of the classes."""
SEGMENTATION_LOSSES = ("bce", "ce_dice")
VIT_B16 = {"vision_config": {"patch_size": 16}}
KNOWN_CLIP = {"openai/clip-vit-base-patch16": partial(CLIPConfig, **VIT_B16)}
"""See `PartSegmentationConfig.known_pretrained`."""


class AutoMapped:
    """Mixin of configurations and processors, before transformers' class: what they save can be loaded without this
    package having been imported, by `auto_map` (of `auto_classes`: Auto class -> class of this package) and `SHIM`.
    """

    auto_classes: ClassVar[Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """See transformers; with `auto_map`, which a loaded object may have from elsewhere."""
        module = Path(SHIM.name).stem
        return {**super().to_dict(), "auto_map": {auto: f"{module}.{name}" for auto, name in self.auto_classes.items()}}

    def to_json_file(self, json_file_path: str | Path, **kwargs: Any) -> None:
        """See transformers; saves `SHIM` beside the file. Whatever is saved or pushed passes through here."""
        super().to_json_file(json_file_path, **kwargs)
        with resources.as_file(SHIM) as path:
            shutil.copyfile(path, Path(json_file_path).with_name(SHIM.name))

    @classmethod
    def register_for_auto_class(cls, auto_class: str | None = None) -> None:
        """Does nothing: transformers would save the source of the class itself, which needs the rest of the package."""


def map_auto_classes(config: str, model: str) -> dict[str, str]:
    """`AutoMapped.auto_classes` of a family's configuration, from the names of its classes."""
    return {"AutoConfig": config, "AutoModel": model, "AutoModelForSemanticSegmentation": model}


@strict
class PartSegmentationConfig(AutoMapped, PreTrainedConfig):
    """What the configurations of all families share.

    Args:
        ignore_index: Value of unlabelled pixels in `labels`. Where the model scores "none", they are trained as that,
            as in the benchmark; otherwise no mask is trained for them.
        eval_label_size: (short edge, longest edge) in pixels to which the benchmark brings label maps before it scores
            this model, or None to score at the labels' own size.
        export_format: "onnx" or "openvino", what the files in an exported model's folder are (`ovparts export`).
        trained_on: What training writes: `task`, `dataset` and `seen_classes`, the part classes whose labels were used,
            also by a model that it started from. None: unknown.

    Attributes:
        base_model_type: transformers' `model_type` of the pretrained models that the family is built on.
        requires_base_model: Whether a new model needs one.
        has_closed_vocabulary: Whether the classes are fixed when the model is made.
        undecided: Fields of which a value stands for what follows from other fields -> that value.
        keys_to_ignore_at_inference: Outputs that transformers' `Trainer` leaves out of predictions; see transformers.
        pretrained_fields: Fields of a model that is used as it was pretrained, without anything random; empty where
            training has to add something first.
        known_pretrained: What the recipes start from, a Hub id or folder -> what makes its configuration on a machine
            that does not have it (`ovparts train --dry-run`).
        known_image_size: Side in pixels of the images of those models, if not what a new processor has.
        segmentation_losses: What `segmentation_loss` may be, where it is a field.
    """

    base_model_type: ClassVar[str]
    requires_base_model: ClassVar[bool] = True
    has_closed_vocabulary: ClassVar[bool] = False
    undecided: ClassVar[Mapping[str, Any]] = {}
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["class_features", "hidden_states", "attentions"]
    pretrained_fields: ClassVar[Mapping[str, Any]] = {}
    known_pretrained: ClassVar[Mapping[str, Callable[[], PreTrainedConfig]]] = {}
    known_image_size: ClassVar[int | None] = None
    segmentation_losses: ClassVar[tuple[str, ...]] = ()

    ignore_index: int = 255
    eval_label_size: list[int] | tuple[int, int] | None = (800, 1333)
    trained_on: dict[str, Any] | None = None
    export_format: str | None = None

    def validate_trained_on(self) -> None:
        """Checks what a stored configuration says of the training."""
        about = self.trained_on
        if about is not None and not (
            all(isinstance(about.get(key), str) for key in ("task", "dataset"))
            and isinstance(about.get("seen_classes"), list | tuple)
            and all(isinstance(name, str) for name in about["seen_classes"])
        ):
            raise ValueError("trained_on must name task and dataset, and list seen_classes.")

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """See transformers; raises a ConfigurationError at values that no model has."""
        check_numbers(config_dict)
        try:
            return super().from_dict(config_dict, **kwargs)
        except StrictDataclassError as error:
            reason = error.__cause__ or error
            place = f" at {str(kwargs['name_or_path'])!r}" if "name_or_path" in kwargs else ""
            raise ConfigurationError(f"The {cls.model_type} configuration{place} is wrong: {reason}") from reason

    @classmethod
    def from_base_config(cls, base: PreTrainedConfig, **fields: Any) -> Self:
        """The configuration of a model that is built on a pretrained one; `fields` are set differently."""
        inherited = {key: value for key, value in base.to_dict().items() if key not in ("model_type", "architectures")}
        return cls(**{**inherited, **fields})

    @classmethod
    def training_fields(cls, class_names: Sequence[str]) -> dict[str, Any]:
        """Fields that say which classes a model is trained on."""
        return {}


@strict
class OpenVocabularyConfig(PartSegmentationConfig):
    r"""What the configurations of all models share that can score any class, and keep a vocabulary with their weights.

    Args:
        class_names: The classes whose features are saved with the weights, or None. `id2label` and `label2id` follow
            them, with "none" behind if the model scores that.
    """

    scores_none: ClassVar[bool] = True

    class_names: list[str] | None = None

    def __post_init__(self, **kwargs: Any):
        super().__post_init__(**kwargs)
        if self.class_names is not None:
            self.set_class_names(self.class_names)

    def set_class_names(self, names: Sequence[str] | None) -> None:
        """Names the classes, and the labels after them; None for the labels that transformers gives by default."""
        self.class_names = None if names is None else list(names)
        if names is None:
            self.id2label = None
            self.num_labels = 2
            return
        labels = [*names, NONE] if self.scores_none else names
        self.id2label = dict(enumerate(labels))
        self.label2id = {label: number for number, label in self.id2label.items()}


@strict
class ScoredNoneConfig(OpenVocabularyConfig):
    r"""What the configurations share of open-vocabulary models that score "none", and are trained pixel by pixel.

    Args:
        segmentation_loss: "bce", the benchmark's loss, or "ce_dice".
        none_weight: Weight of the "none" channel in the loss.
        object_crop_margin: Where it is known where an object is, its parts are looked for, in training and afterwards,
            in a square around it: longer than the longer side of its bounding box by this share on each side, and
            clipped to the image. None: in the whole image, as in the benchmark.
    """

    segmentation_losses: ClassVar[tuple[str, ...]] = SEGMENTATION_LOSSES

    segmentation_loss: str = "bce"
    none_weight: float | int = 0.05
    object_crop_margin: float | int | None = None

    def validate_architecture(self) -> None:
        """Checks values that would only fail later, or silently."""
        if self.segmentation_loss not in self.segmentation_losses:
            raise ValueError(
                f"segmentation_loss is {self.segmentation_loss!r}; choose one of {list(self.segmentation_losses)}."
            )
        margin = self.object_crop_margin
        if margin is not None and not 0 <= margin < math.inf:
            raise ValueError(f"object_crop_margin is {margin}; it must be a finite number of at least 0, or None.")


_PLAIN_STEM = {"embedding_size": 64, "deep_stem": False, "last_dilations": None}
RESNETS = {
    "resnet-50": {"depths": [3, 4, 6, 3], **_PLAIN_STEM},
    "resnet-101": {"depths": [3, 4, 23, 3], **_PLAIN_STEM},
    "resnet-101c": {"depths": [3, 4, 23, 3], "embedding_size": 128, "deep_stem": True, "last_dilations": [1, 2, 4]},
}
"""Fields of `PartResNetConfig` for detectron2's R50, R101 and R101c (its deeplab variant with a multi-grid)."""


@strict
class PartResNetConfig(ResNetConfig):
    r"""Configuration of `PartResNet`: everything of transformers' `ResNetConfig`, and the following.

    Args:
        deep_stem: Whether three 3 x 3 convolutions replace the 7 x 7 one of the stem (R101c).
        stem_pooling: Whether the stem ends with a pooling that halves the resolution, as in every released model.
        last_dilations: Dilation of the 3 x 3 convolution of each layer of the last stage, or None for 1 everywhere.
    """

    model_type = "ovparts_resnet"

    deep_stem: bool = False
    stem_pooling: bool = True
    last_dilations: list[int] | tuple[int, ...] | None = None

    def __post_init__(self, **kwargs):
        kwargs.setdefault("out_indices", list(range(1, len(self.depths) + 1)))
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Checks that there is a dilation for each layer of the last stage."""
        if self.last_dilations is not None and len(self.last_dilations) != self.depths[-1]:
            raise ValueError(
                f"last_dilations is {self.last_dilations}; the last stage has {self.depths[-1]} layers, give one each."
            )
