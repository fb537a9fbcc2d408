"""What all model families share: their output, and what evaluation, training and inference call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from ..errors import CheckpointError, ConfigurationError
from .arguments import check_not_empty
from .class_chunks import ClassChunks
from .configuration_utils import NONE, OpenVocabularyConfig, PartSegmentationConfig
from .limits import check_parameters
from .pretrained import load_pretrained

if TYPE_CHECKING:
    from .processing import ClosedVocabularyProcessor, PartSegmentationProcessor

PROMPTS_AT_ONCE = 1280
"""Prompts that go through the text encoder together."""


@dataclass
class PartSegmentationOutput(ModelOutput):
    """Scores of one forward pass.

    Attributes:
        loss: Training loss, scalar; only with `labels`.
        logits: (batch, classes, height, width). Classes that `class_mask` ruled out are minus infinity.
        none_logits: (batch, 1, height, width), the score of "no part"; only with `include_none`.
        class_features: (classes, dim), the encoded class names, ready to be passed in again; None for those that
            the model keeps itself.
        hidden_states: With `output_hidden_states`, what enters the first layer of the image transformer and what leaves
            each of its layers that are needed, (batch, tokens, hidden size); the class says which transformer that is.
        attentions: With `output_attentions` and attn_implementation="eager", the weights of its self-attention,
            (batch, heads, tokens, tokens) for each layer.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    none_logits: torch.FloatTensor | None = None
    class_features: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


class PartSegmentationModel(PreTrainedModel):
    """Base class of all model families. A family sets the flags that differ, and has `forward`.

    Attributes:
        classes_interact: Whether the scores of a class depend on the vocabulary that it is scored with.
        requires_object_masks: Whether `forward` is conditioned on the mask of each object.
        scores_none: Whether `forward` can score "none".
        fills_objects: Whether it finds objects as well, each pixel of which then has one of its parts.
        trains_on_objects: Whether it is trained with `object_labels` besides `labels`.
        substring_candidates: Whether the original lets an object have every part whose class contains the object's name
            (docs/differences.md), not only its own.
        new_parts: Beginnings of the names of parameters that the pretrained models lack, and that start at random.
        trainable_groups: Name of each group of parameters that can be trained -> beginnings of their names.
        stock_weights: Hub id of the pretrained model that fine-tuning starts from if only the family is named.
        stock_fields: Fields of the configuration that fine-tuning then sets, such as the names of further weights.
        stock_lr_multipliers: Factors on the learning rate of what is pretrained, by prefix, where fine-tuning differs.
        trainable_with_few: What fine-tuning trains on few images, see `set_trainable`; None for all groups.
        trainable_with_many: Likewise on many.
        image_processor_class: What prepares its images.
        processor_class: What puts images and class names together.
        exports_batches: Whether an export (`models.export`) takes several images at once.
        exports_any_size: Whether it takes images of any size.
        export_runner: Module in `models` and, in it, the class that divides its computations into graphs and runs them.
    """

    config: PartSegmentationConfig
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # of transformers' Trainer: a loss is a mean over the images that it is given
    classes_interact: ClassVar[bool] = False
    scores_none: ClassVar[bool] = False
    substring_candidates: ClassVar[bool] = False
    fills_objects: ClassVar[bool] = False
    trains_on_objects: ClassVar[bool] = False
    new_parts: ClassVar[tuple[str, ...]] = ()
    trainable_groups: ClassVar[Mapping[str, tuple[str, ...]]]
    stock_weights: ClassVar[str | None] = None
    stock_fields: ClassVar[Mapping[str, Any]] = {}
    stock_lr_multipliers: ClassVar[Mapping[str, float]] = {}
    trainable_with_few: ClassVar[str | None] = None
    trainable_with_many: ClassVar[str | None] = None
    image_processor_class: ClassVar[type]
    processor_class: ClassVar[type]
    exports_batches: ClassVar[bool] = True
    exports_any_size: ClassVar[bool] = False
    export_runner: ClassVar[tuple[str, str]] = ("export.one_stage", "OneStage")

    @property
    def requires_object_masks(self) -> bool:
        return False

    @property
    def finds_objects_first(self) -> bool:
        """Whether it was trained on whole things, so that parts are best looked for inside those that it finds."""
        return False

    @property
    def object_crop_margin(self) -> float | None:
        """The margin of the crops of objects in which it looks for parts; None for whole images."""
        return getattr(self.config, "object_crop_margin", None)

    def describe(self) -> dict[str, Any]:
        """What a result says of the options that its scores depend on, where the model has any."""
        margin = self.object_crop_margin
        return {} if margin is None else {"object_crop_margin": margin}

    def post_init(self) -> None:
        """See transformers; raises a ConfigurationError if the model is larger than any of its kind."""
        check_parameters(self)
        super().post_init()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path | None,
        *,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        **kwargs: Any,
    ) -> Any:
        """See transformers. Of a pretrained model only `new_parts` may be missing, of a saved one nothing, of None all.

        Raises:
            CheckpointError: Weights are missing, unexpected, of another shape or not finite, or cannot be read.
        """
        name_or_path, new_parts = pretrained_model_name_or_path, None
        if name_or_path is None:
            new_parts = ("",)
        else:
            hub = {key: value for key, value in kwargs.items() if key not in ("config", "trust_remote_code")}
            stored, _ = PreTrainedConfig.get_config_dict(name_or_path, **hub)
            architectures = stored.get("architectures") or [cls.__name__]
            of_base_type = stored.get("model_type") == cls.config_class.base_model_type
            if of_base_type or not {each.__name__ for each in cls.__mro__}.intersection(architectures):
                new_parts = cls.new_parts
        model, info = load_pretrained(
            super().from_pretrained,
            name_or_path,
            new_parts,
            ignore_mismatched_sizes,
            **kwargs,
        )
        return (model, info) if output_loading_info else model

    @classmethod
    def from_base_model(cls, name_or_path: str | None, config: PartSegmentationConfig) -> Self:
        """A new model on the weights of a pretrained one, a folder or Hub id; what that lacks starts at random."""
        return cls.from_pretrained(name_or_path, config=config, dtype="float32", trust_remote_code=False)

    @classmethod
    def default_processor(
        cls, name_or_path: str | None, config: PartSegmentationConfig, settings: Mapping[str, Any]
    ) -> PartSegmentationProcessor | ClosedVocabularyProcessor:
        """A new model's processor; `settings` differ from the benchmark's, under `images` those for images."""
        raise NotImplementedError

    def forward(self, pixel_values: torch.Tensor, **inputs: Any) -> PartSegmentationOutput:
        """Scores every class at every pixel. What a family takes differently, its own `forward` says.

        Args:
            pixel_values: (batch, 3, height, width), from the model's processor.
            class_features: (classes, ...), the vocabulary from `encode_classes`.
            input_ids: (classes, length) or (classes, templates, length) int64, the vocabulary to be encoded here, with
                gradient. Without either, the model's own vocabulary is scored.
            attention_mask: Of the same shape as `input_ids`, or None.
            class_mask: (batch, classes) bool; classes that are False for an image are not decoded and score -inf. On
                the CPU, whatever the model's device, it lets an accelerator work on without waiting.
            labels: (batch, height', width') class ids, of any size; other values mean "none".
            include_none: Whether to score "none" too.
            **kwargs: `output_hidden_states`, `output_attentions` and `return_dict`, as in transformers.

        Raises:
            ConfigurationError: Class names or other inputs are missing, shapes do not fit, or "none" has no score.
            TypeError: There is no such argument.
        """
        raise NotImplementedError

    def set_trainable(self, name: str) -> None:
        """Chooses what an optimiser may change: "none", or names of `trainable_groups` joined by "+"."""
        chosen = [] if name == "none" else name.split("+")
        keys = [key for key, _ in self.named_parameters()]
        groups = {group: of for group, of in self.trainable_groups.items() if any(key.startswith(of) for key in keys)}
        unknown = sorted(set(chosen) - set(groups))
        if unknown:
            raise ConfigurationError(
                f"Trainable set {name!r} names {unknown}; use 'none' or join some of {list(groups)} by '+'."
            )
        prefixes = tuple(prefix for group in chosen for prefix in groups[group])
        for key, parameter in self.named_parameters():
            parameter.requires_grad_(key.startswith(prefixes))

    def decode_in_chunks(self, classes: int) -> None:
        """In training, computes with so many classes of an image at once, and again in the backward pass.

        Less memory where there are many classes, the same gradients up to the order of floating-point sums.
        """
        modules = [module for module in self.modules() if isinstance(module, ClassChunks)]
        if not modules:
            raise ConfigurationError(
                f"class_chunk is {classes}, but a {type(self).__name__} does not decode class by class; leave it out."
            )
        for module in modules:
            module.class_chunk = classes

    @property
    def vocabulary(self) -> list[str] | None:
        """The classes that the model scores if it is given none, in the order of `logits`; None if it must be given."""
        return None

    def encode_vocabulary(
        self, processor: Any, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """A vocabulary as arguments of `forward`, each with one row for each class; it serves for every image."""
        raise NotImplementedError

    def store_vocabulary(self, processor: Any, class_names: Sequence[str], progress: bool = True) -> None:
        """Keeps class names and their features with the model, so that `forward` scores them if it is given none.

        A model with a closed vocabulary has its own already: nothing is done.

        Args:
            processor: The model's processor.
            class_names: Part classes ("dog's ear"), each once. They replace those that the model has, whose features
                are looked up where names are the same.
            progress: Whether to show a bar, if there is anything to encode.

        Raises:
            OVPartsError: A name occurs twice, cannot be tokenized, or is that of pixels without a class.
        """

    def forget_vocabulary(self) -> None:
        """Undoes `store_vocabulary`, as when the text encoder is about to change."""

    def text_encoder_is_trainable(self, processor: Any, class_names: Sequence[str]) -> bool:
        """Whether the features of these classes change in training."""
        return False


class OpenVocabularyModel(PartSegmentationModel):
    """Base class of the families that score any class. They have `encode_classes`.

    Attributes:
        class_features: (classes, ...), what `encode_classes` makes of `config.class_names`; None without these.
    """

    config: OpenVocabularyConfig
    class_features: torch.Tensor | None

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Encodes class names into one row each; do it once per vocabulary and pass the result to every forward call.

        Args:
            input_ids: (classes, length) or (classes, templates, length) int64, from the processor.
            attention_mask: Of the same shape, or None.
        """
        raise NotImplementedError

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings of the text encoder."""
        return self.clip.text_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replaces the token embeddings of the text encoder."""
        self.clip.text_model.set_input_embeddings(value)

    def _make_class_features(self, *shape: int) -> None:
        """Makes room for features of the shape that `encode_classes` gives each class."""
        names = self.config.class_names
        self.register_buffer("class_features", None if names is None else torch.zeros(len(names), *shape))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self and self.class_features is not None:
            init.zeros_(self.class_features)

    @property
    def vocabulary(self) -> list[str] | None:
        """See `PartSegmentationModel.vocabulary`."""
        names = self.config.class_names
        return None if names is None else list(names)

    @property
    def stored_class_features(self) -> dict[str, torch.Tensor]:
        """The features that are saved with the model, by class name."""
        return {} if self.class_features is None else dict(zip(self.config.class_names, self.class_features))

    def tokenize_vocabulary(self, processor: Any, class_names: Sequence[str]) -> dict[str, torch.Tensor]:
        """A vocabulary as arguments of `forward` that are encoded there, with gradient."""
        return dict(processor(classes=class_names))

    def encode_vocabulary(
        self, processor: Any, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`."""
        return {"class_features": self.encode_class_names(processor, class_names, progress)}

    @torch.no_grad()
    def encode_class_names(
        self, processor: PartSegmentationProcessor, class_names: Sequence[str], progress: bool = False
    ) -> torch.Tensor:
        """One row for each class, as `encode_classes` gives it; those that are saved with the model are looked up."""
        check_not_empty(class_names)
        known = self.stored_class_features
        missing = [name for name in dict.fromkeys(class_names) if name not in known]
        count = max(1, PROMPTS_AT_ONCE // len(processor.templates or ("{}",)))
        groups = [missing[start : start + count] for start in range(0, len(missing), count)]
        for names in tqdm(groups, desc="Encoding class names", disable=not progress or not missing):
            tokens = processor(classes=names).to(self.device)
            self._check_tokens(tokens["input_ids"])
            known.update(zip(names, self.encode_classes(**tokens)))
        return torch.stack([known[name] for name in class_names])

    def _check_tokens(self, input_ids: torch.Tensor) -> None:
        """Refuses what a tokenizer of another model has made."""
        largest, size = int(input_ids.max()), self.config.text_config.vocab_size
        if largest >= size:
            raise CheckpointError(
                f"The tokenizer gives the token {largest}, of which the model has only {size:,}. They do not belong "
                "together: save or download both again."
            )

    def store_vocabulary(self, processor: Any, class_names: Sequence[str], progress: bool = True) -> None:
        """See `PartSegmentationModel.store_vocabulary`."""
        self.store_class_features(class_names, self.encode_class_names(processor, class_names, progress))

    def store_class_features(self, class_names: Sequence[str], class_features: torch.Tensor) -> None:
        """Keeps features (classes, ...) from `encode_classes` with the weights, in place of what was kept before."""
        if self.config.scores_none and NONE in class_names:
            raise ConfigurationError(f"{NONE!r} is what pixels without a class are called; name the class otherwise.")
        if len(set(class_names)) != len(class_names) or len(class_names) != len(class_features):
            raise ConfigurationError(
                f"{len(class_names)} class names, {len(set(class_names))} of them different, were given with "
                f"{len(class_features)} rows of features; give each name once, with its row."
            )
        self.config.set_class_names(class_names)
        self.class_features = class_features.detach()

    def forget_vocabulary(self) -> None:
        """See `PartSegmentationModel.forget_vocabulary`."""
        self.config.set_class_names(None)
        self.class_features = None

    @torch.enable_grad()
    def text_encoder_is_trainable(self, processor: Any, class_names: Sequence[str]) -> bool:
        """See `PartSegmentationModel.text_encoder_is_trainable`."""
        return self.encode_classes(**processor(classes=class_names[:1]).to(self.device)).requires_grad

    def resolve_class_features(
        self,
        class_features: torch.Tensor | None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The class features that `forward` is about: those given, those of the tokens, or the model's own."""
        if class_features is not None:
            return class_features
        if input_ids is not None:
            return self.encode_classes(input_ids, attention_mask)
        if self.class_features is None:
            raise ConfigurationError(
                "Pass class_features (from encode_classes) or input_ids; both are missing, and this model has no "
                "vocabulary of its own (store_vocabulary gives it one)."
            )
        return self.class_features

    def unless_stored(self, class_features: torch.Tensor) -> torch.Tensor | None:
        """What `forward` returns to be passed in again: nothing for the features that the model keeps itself."""
        return None if class_features is self.class_features else class_features


def init_like_torch(module: nn.Module) -> None:
    """Draws a new layer at PyTorch's own scale, as the originals do; transformers' common default is much smaller."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        init.kaiming_uniform_(module.weight, a=math.sqrt(5))
