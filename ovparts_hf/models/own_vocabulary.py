"""A vocabulary that is saved with a model, so that it answers without being given words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers import initialization as init

from ..errors import ConfigurationError

NONE = "none"
"""The label of pixels without a class, after those of the classes."""


@strict
class OwnVocabularyConfig(PreTrainedConfig):
    r"""What the configurations of all models with a vocabulary of their own share.

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


class OwnVocabulary:
    """Mixin, before `PreTrainedModel`, of models whose configuration is an `OwnVocabularyConfig`.

    Attributes:
        class_features: (classes, ...), what `encode_classes` makes of `config.class_names`; None without these.
    """

    config: OwnVocabularyConfig
    class_features: torch.Tensor | None

    def _make_class_features(self, *shape: int) -> None:
        """Makes room for features of the shape that `encode_classes` gives each class."""
        names = self.config.class_names
        self.register_buffer("class_features", None if names is None else torch.empty(len(names), *shape))

    @torch.no_grad()
    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        if module is self and self.class_features is not None:
            init.zeros_(self.class_features)

    def store_classes(self, names: Sequence[str], class_features: torch.Tensor) -> None:
        """Keeps the features of a vocabulary with the weights, in place of what was kept before.

        Args:
            names: The classes.
            class_features: (classes, ...) from `encode_classes`, for those names.

        Raises:
            ConfigurationError: A name occurs twice or is that of pixels without a class, or there are not as many
                features as names.
        """
        if self.config.scores_none and NONE in names:
            raise ConfigurationError(f"{NONE!r} is what pixels without a class are called; name the class otherwise.")
        if len(set(names)) != len(names) or len(names) != len(class_features):
            raise ConfigurationError(
                f"{len(names)} class names, {len(set(names))} of them different, were given with {len(class_features)} "
                "rows of features; give each name once, with its row."
            )
        self.config.set_class_names(names)
        self.class_features = class_features.detach()

    def forget_classes(self) -> None:
        """Undoes `store_classes`, as when the text encoder is about to change."""
        self.config.set_class_names(None)
        self.class_features = None

    def find_words(
        self,
        class_features: torch.Tensor | None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The class features that a call of `forward` is about: those given, those of the tokens, or the model's own.

        Raises:
            ConfigurationError: None were given, and the model keeps none.
        """
        if class_features is not None:
            return class_features
        if input_ids is not None:
            return self.encode_classes(input_ids, attention_mask)
        if self.class_features is None:
            raise ConfigurationError(
                "Pass class_features (from encode_classes) or input_ids; both are missing, and this model has no "
                "vocabulary of its own (ovparts_hf.inference.vocabulary.store_vocabulary gives it one)."
            )
        return self.class_features

    def unless_own(self, class_features: torch.Tensor) -> torch.Tensor | None:
        """What `forward` returns to be passed in again: nothing for the model's own vocabulary."""
        return None if class_features is self.class_features else class_features
